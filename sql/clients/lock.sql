-- clients.lock
-- Waits for every token of the client that is being issued, and holds back the next.
SELECT
    client_id, name, roles, scopes, audience, default_audience, introspection_audience,
    access_token_ttl_ms, session_ttl_ms, idle_timeout_ms, rotation_grace_ms, sessions_per_user,
    session_limit_policy, bearer_allowed, dpop_required, dpop_nonce_required, disabled_at,
    not_before, created_at, updated_at
FROM countersign.client
WHERE client_id = $1::uuid
FOR UPDATE
