-- clients.cut_off
-- Disables ($2 true), enables (false) or only cuts off (NULL) a client whose row is
-- locked. The cut-off covers everything that exists, whatever the clock says; to
-- disable needs no search for it, since nothing is issued until it is enabled.
UPDATE countersign.client c
SET disabled_at = CASE $2::boolean
        WHEN true THEN coalesce(c.disabled_at, clock_timestamp())
        WHEN false THEN NULL
        ELSE c.disabled_at
    END,
    not_before = greatest(
        c.not_before,
        clock_timestamp(),
        CASE WHEN $2 IS NOT true THEN (
            SELECT max(t.created_at)
            FROM public.oauth_access_tokens t
            WHERE t.client_id = c.client_id
                AND t.expires_at > clock_timestamp()
                AND t.metadata ? 'countersign'
        ) END,
        CASE WHEN $2 IS NOT true THEN (
            SELECT max(s.created_at)
            FROM auth.refresh_session s
            JOIN countersign.session_grant g ON g.session_id = s.jti
            WHERE g.client_id = c.client_id AND s.expires_at > clock_timestamp()
        ) END
    )
WHERE c.client_id = $1
RETURNING
    client_id, name, roles, scopes, audience, default_audience, introspection_audience,
    access_token_ttl_ms, session_ttl_ms, idle_timeout_ms, rotation_grace_ms, sessions_per_user,
    session_limit_policy, disabled_at, not_before, created_at, updated_at
