-- identities.clients
-- Whose these identities are; one that is nobody's has no row.
SELECT identity, client_id
FROM countersign.client_identity
WHERE identity = ANY ($1::text[])
