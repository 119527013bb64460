-- secrets.retire
UPDATE countersign.client_secret
SET retired_at = clock_timestamp()
WHERE client_id = $1::uuid AND secret_id = $2::uuid AND retired_at IS NULL
