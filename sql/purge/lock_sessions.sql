-- purge.lock_sessions
-- Locks in jti order the sessions of families, where their own row has expired too;
-- one that another transaction holds is left for a later pass.
SELECT s.jti
FROM auth.refresh_session s
JOIN countersign.session_grant g ON g.session_id = s.jti
WHERE s.jti = ANY ($1::uuid[])
    AND s.expires_at < statement_timestamp() - $2::bigint * interval '1 millisecond'
ORDER BY s.jti
FOR UPDATE OF s SKIP LOCKED
