-- identities.of_clients
SELECT client_id, identity
FROM countersign.client_identity
WHERE client_id = ANY ($1::uuid[])
ORDER BY identity
