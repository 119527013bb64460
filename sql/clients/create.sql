-- clients.create
INSERT INTO countersign.client
    (client_id, name, roles, scopes, audience, default_audience, introspection_audience,
     access_token_ttl_ms, session_ttl_ms, idle_timeout_ms, rotation_grace_ms,
     sessions_per_user, session_limit_policy, bearer_allowed, dpop_required,
     dpop_nonce_required)
VALUES ($1::uuid, $2::text, $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint,
        $9::bigint, $10::bigint, $11::bigint, $12::int, $13::text, $14::boolean, $15::boolean,
        $16::boolean)
ON CONFLICT (client_id) DO NOTHING
RETURNING
    client_id, name, roles, scopes, audience, default_audience, introspection_audience,
    access_token_ttl_ms, session_ttl_ms, idle_timeout_ms, rotation_grace_ms, sessions_per_user,
    session_limit_policy, bearer_allowed, dpop_required, dpop_nonce_required, disabled_at,
    not_before, created_at, updated_at
