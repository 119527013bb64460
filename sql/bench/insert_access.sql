-- bench.insert_access
INSERT INTO public.oauth_access_tokens
    (digest, jti, client_id, user_id, scopes, audience, metadata, created_at, updated_at,
     expires_at)
VALUES ($1::bytea, $2::uuid, $3::uuid, $4::uuid, $5::text[], $6::text[],
        jsonb_build_object('countersign', $7::bigint, 'session_id', $8::uuid), now(), now(),
        now() + interval '10 minutes')
