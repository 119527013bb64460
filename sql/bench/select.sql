-- bench.select
-- The bare lookup that introspection is compared with: the token's own row alone.
SELECT jti, client_id, user_id, scopes, audience, dpop_jkt, metadata, created_at, expires_at
FROM public.oauth_access_tokens
WHERE digest = $1
