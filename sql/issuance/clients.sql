-- issuance.clients
-- The time, the fence, and each client of a batch once; where none exists, a row of NULLs.
-- The whole row is also printed, to be compared with later (sql/tokens/insert_unchanged.sql).
SELECT
    clock_timestamp(),
    a.not_before,
    c::text,
    c.client_id,
    c.name,
    c.roles,
    c.scopes,
    c.audience,
    c.default_audience,
    c.introspection_audience,
    c.access_token_ttl_ms,
    c.session_ttl_ms,
    c.idle_timeout_ms,
    c.rotation_grace_ms,
    c.sessions_per_user,
    c.session_limit_policy,
    c.bearer_allowed,
    c.dpop_required,
    c.dpop_nonce_required,
    c.disabled_at,
    c.not_before,
    c.created_at,
    c.updated_at
FROM countersign.authority a
LEFT JOIN countersign.client c ON c.client_id = ANY ($1::uuid[])
