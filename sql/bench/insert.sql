-- bench.insert
-- The bare insert that issuing is compared with.
INSERT INTO public.oauth_access_tokens
    (digest, jti, client_id, scopes, audience, metadata, created_at, updated_at, expires_at)
VALUES
    ($1, $2, $3, $4, $5, jsonb_build_object('countersign', $6::bigint), now(), now(),
     now() + interval '10 minutes')
