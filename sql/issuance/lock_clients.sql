-- issuance.lock_clients
-- A cut-off of the client waits for this, or this for it.
SELECT c.client_id
FROM countersign.client c
WHERE c.client_id = ANY ($1::uuid[])
ORDER BY c.client_id
FOR KEY SHARE OF c SKIP LOCKED
