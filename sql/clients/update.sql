-- clients.update
UPDATE countersign.client
SET name = $2,
    roles = $3,
    scopes = $4,
    audience = $5,
    default_audience = $6,
    introspection_audience = $7,
    access_token_ttl_ms = $8,
    session_ttl_ms = $9,
    idle_timeout_ms = $10,
    rotation_grace_ms = $11,
    sessions_per_user = $12,
    session_limit_policy = $13,
    bearer_allowed = $14,
    dpop_required = $15,
    dpop_nonce_required = $16,
    updated_at = clock_timestamp()
WHERE client_id = $1
RETURNING
    client_id, name, roles, scopes, audience, default_audience, introspection_audience,
    access_token_ttl_ms, session_ttl_ms, idle_timeout_ms, rotation_grace_ms, sessions_per_user,
    session_limit_policy, bearer_allowed, dpop_required, dpop_nonce_required, disabled_at,
    not_before, created_at, updated_at
