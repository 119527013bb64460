-- secrets.insert
INSERT INTO countersign.client_secret (secret_id, client_id, digest, key_id)
VALUES ($1, $2, $3, $4)
