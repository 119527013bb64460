-- secrets.exists
-- Whether the client ever had the secret, live or retired.
SELECT FROM countersign.client_secret WHERE client_id = $1::uuid AND secret_id = $2::uuid
