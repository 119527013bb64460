-- clients.cut_off
-- Disables ($2 true), enables (false) or only cuts off (NULL) a client whose row is
-- locked. The cut-off covers everything that exists, whatever the clock says; to
-- disable needs no search for it, since nothing is issued until it is enabled. The
-- search goes through everything unexpired, by the indexes on the expiry, for there is
-- none on the client: IS TRUE keeps the index that has the client second out of it.
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
            WHERE t.expires_at > statement_timestamp()
                AND (t.client_id = c.client_id) IS TRUE
                AND t.metadata ? 'countersign'
        ) END,
        CASE WHEN $2 IS NOT true THEN (
            SELECT max(s.created_at)
            FROM auth.refresh_session s
            WHERE s.expires_at > statement_timestamp()
                AND c.client_id = (
                    SELECT g.client_id FROM countersign.session_grant g WHERE g.session_id = s.jti
                )
        ) END
    )
WHERE c.client_id = $1::uuid
RETURNING
    client_id, name, roles, scopes, audience, default_audience, introspection_audience,
    access_token_ttl_ms, session_ttl_ms, idle_timeout_ms, rotation_grace_ms, sessions_per_user,
    session_limit_policy, bearer_allowed, dpop_required, dpop_nonce_required, disabled_at,
    not_before, created_at, updated_at
