-- secrets.retire
UPDATE countersign.client_secret
SET retired_at = clock_timestamp()
WHERE client_id = $1 AND secret_id = $2 AND retired_at IS NULL
