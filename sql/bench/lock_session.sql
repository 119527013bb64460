-- bench.lock_session
-- The first step of a rotation as a transaction: the session, locked.
SELECT s.refresh_version FROM auth.refresh_session s
WHERE s.jti = $1::uuid AND s.refresh_version = $2::int AND s.expires_at > now()
FOR UPDATE
