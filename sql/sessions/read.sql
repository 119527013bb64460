-- sessions.read
-- Everything that decides about a refresh token or a session, one row an ask.
-- $1 sessions, $2 ledger digests (NULL: a session without a token), $3 digests of
-- access tokens whose commit is in doubt (NULL: none).
SELECT
    i.ord,
    clock_timestamp(),
    a.not_before,
    a.purged_to,
    s.refresh_version,
    s.created_at,
    s.last_used_at,
    s.expires_at,
    g.client_id,
    g.subject,
    g.scopes,
    g.audience,
    g.dpop_jkt,
    g.salt,
    g.expires_at,
    g.end_reason,
    CASE WHEN t.id IS NOT NULL THEN coalesce(t.updated_at, t.created_at, g.opened_at) END,
    (SELECT o.created_at FROM public.oauth_access_tokens o WHERE o.digest = i.doubt),
    c.scopes,
    c.idle_timeout_ms,
    c.bearer_allowed,
    c.dpop_required,
    c.dpop_nonce_required,
    c.disabled_at,
    c.not_before,
    c.rotation_grace_ms,
    c.access_token_ttl_ms,
    n.subject IS NOT NULL,
    n.disabled_at,
    n.not_before
FROM unnest($1::uuid[], $2::text[], $3::bytea[]) WITH ORDINALITY AS i (session_id, token, doubt, ord)
CROSS JOIN countersign.authority a
LEFT JOIN countersign.session_grant g ON g.session_id = i.session_id
LEFT JOIN auth.refresh_session s ON s.jti = g.session_id
LEFT JOIN auth.refresh_tokens t ON t.token = i.token AND t.session_id = i.session_id
LEFT JOIN countersign.client c ON c.client_id = g.client_id
LEFT JOIN countersign.account n ON n.subject = g.subject
