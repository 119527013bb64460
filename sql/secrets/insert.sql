-- secrets.insert
INSERT INTO countersign.client_secret (secret_id, client_id, digest, key_id)
VALUES ($1::uuid, $2::uuid, $3::bytea, $4::bigint)
