-- tokens.insert
INSERT INTO public.oauth_access_tokens
    (digest, jti, client_id, user_id, scopes, audience, token_type, dpop_jkt, metadata,
     created_at, updated_at, expires_at)
SELECT
    i.digest,
    i.jti,
    i.client_id,
    i.subject,
    string_to_array(i.scopes, ' '),
    nullif(string_to_array(i.audience, ' '), '{}'),
    (CASE WHEN i.dpop_jkt IS NULL THEN 'Bearer' ELSE 'DPoP' END)::public.token_type,
    i.dpop_jkt,
    CASE
        WHEN i.session_id IS NULL THEN jsonb_build_object('countersign', i.key_id)
        ELSE jsonb_build_object('countersign', i.key_id, 'session_id', i.session_id)
    END,
    i.at,
    i.at,
    i.expires_at
FROM unnest(
    $1::bytea[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[],
    $8::uuid[], $9::bigint[], $10::timestamptz[], $11::timestamptz[]
) AS i (
    digest, jti, client_id, subject, scopes, audience, dpop_jkt,
    session_id, key_id, at, expires_at
)
