-- purge.lock_grants
-- Locks the grants of $1 whose session is among the locked ones, $2, or is gone; one
-- that another transaction holds is left for a later pass.
SELECT g.session_id
FROM countersign.session_grant g
WHERE g.session_id = ANY ($1::uuid[])
    AND (
        g.session_id = ANY ($2::uuid[])
        OR NOT EXISTS (SELECT FROM auth.refresh_session s WHERE s.jti = g.session_id)
    )
ORDER BY g.session_id
FOR UPDATE OF g SKIP LOCKED
