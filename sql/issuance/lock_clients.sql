-- issuance.lock_clients
-- A cut-off of the client waits for this, or this for it. The row of others that the foreign keys
-- of what is written will lock is locked here: there it would be waited for, by the whole batch.
SELECT c.client_id
FROM countersign.client c
JOIN public.oauth_clients k ON k.id = c.client_id
WHERE c.client_id = ANY ($1::uuid[])
ORDER BY c.client_id
FOR KEY SHARE OF c, k SKIP LOCKED
