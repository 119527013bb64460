-- clients.update
UPDATE countersign.client
SET name = $2::text,
    roles = $3::text[],
    scopes = $4::text[],
    audience = $5::text[],
    default_audience = $6::text[],
    introspection_audience = $7::text[],
    access_token_ttl_ms = $8::bigint,
    session_ttl_ms = $9::bigint,
    idle_timeout_ms = $10::bigint,
    rotation_grace_ms = $11::bigint,
    sessions_per_user = $12::int,
    session_limit_policy = $13::text,
    bearer_allowed = $14::boolean,
    dpop_required = $15::boolean,
    dpop_nonce_required = $16::boolean,
    updated_at = clock_timestamp()
WHERE client_id = $1::uuid
RETURNING
    client_id, name, roles, scopes, audience, default_audience, introspection_audience,
    access_token_ttl_ms, session_ttl_ms, idle_timeout_ms, rotation_grace_ms, sessions_per_user,
    session_limit_policy, bearer_allowed, dpop_required, dpop_nonce_required, disabled_at,
    not_before, created_at, updated_at
