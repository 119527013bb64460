-- clients.list
-- One more than the largest page, so that its reader knows whether there are more.
SELECT
    client_id, name, roles, scopes, audience, default_audience, introspection_audience,
    access_token_ttl_ms, session_ttl_ms, idle_timeout_ms, rotation_grace_ms, sessions_per_user,
    session_limit_policy, bearer_allowed, dpop_required, dpop_nonce_required, disabled_at,
    not_before, created_at, updated_at
FROM countersign.client
WHERE client_id > $1::uuid
ORDER BY client_id
LIMIT 1001
