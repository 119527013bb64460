-- identities.add
-- Those that nobody has; what is left out is somebody's.
INSERT INTO countersign.client_identity (identity, client_id)
SELECT identity, $1::uuid
FROM unnest($2::text[]) AS identity
ON CONFLICT (identity) DO NOTHING
