-- sessions.lock_to_end
-- Locks in jti order; a row that another transaction holds is left out, and its
-- call is tried again apart. The join keeps foreign sessions out of reach.
SELECT s.jti
FROM auth.refresh_session s
JOIN countersign.session_grant g ON g.session_id = s.jti
WHERE s.jti = ANY ($1::uuid[])
ORDER BY s.jti
FOR UPDATE OF s SKIP LOCKED
