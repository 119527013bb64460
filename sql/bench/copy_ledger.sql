-- bench.copy_ledger
COPY auth.refresh_tokens (instance_id, token, user_id, revoked, created_at, updated_at, session_id)
FROM STDIN (FORMAT binary)
