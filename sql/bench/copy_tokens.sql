-- bench.copy_tokens
COPY public.oauth_access_tokens (digest, jti, client_id, user_id, scopes, audience, metadata, created_at, updated_at, expires_at)
FROM STDIN (FORMAT binary)
