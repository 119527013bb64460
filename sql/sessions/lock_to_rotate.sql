-- sessions.lock_to_rotate
-- Locks in jti order; a row that another transaction holds is left out, and its
-- call is tried again apart. So is one whose user or client another system holds: the foreign
-- keys of what is written would wait for those rows, with the whole batch.
SELECT s.jti
FROM auth.refresh_session s
JOIN countersign.session_grant g ON g.session_id = s.jti
JOIN public.users u ON u.id = g.subject
JOIN public.oauth_clients k ON k.id = g.client_id
WHERE s.jti = ANY ($1::uuid[])
ORDER BY s.jti
FOR NO KEY UPDATE OF s SKIP LOCKED
FOR KEY SHARE OF u, k SKIP LOCKED
