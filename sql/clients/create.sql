-- clients.create
INSERT INTO countersign.client
    (client_id, name, roles, scopes, audience, default_audience, introspection_audience,
     access_token_ttl_ms, session_ttl_ms, idle_timeout_ms, rotation_grace_ms,
     sessions_per_user, session_limit_policy, bearer_allowed, dpop_required,
     dpop_nonce_required)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
ON CONFLICT (client_id) DO NOTHING
RETURNING
    client_id, name, roles, scopes, audience, default_audience, introspection_audience,
    access_token_ttl_ms, session_ttl_ms, idle_timeout_ms, rotation_grace_ms, sessions_per_user,
    session_limit_policy, bearer_allowed, dpop_required, dpop_nonce_required, disabled_at,
    not_before, created_at, updated_at
