-- secrets.of_clients
-- The live secrets of clients, the oldest first.
SELECT client_id, secret_id, created_at
FROM countersign.client_secret
WHERE client_id = ANY ($1::uuid[]) AND retired_at IS NULL
ORDER BY created_at, secret_id
