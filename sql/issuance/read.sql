-- issuance.read
-- $1 clients, $2 subjects (NULL: client-only), $3 who asks, $4 request ids (NULL:
-- none), $5 digests of access tokens whose commit is in doubt (NULL: none).
-- Whether a row stands is asked by a scalar subquery: EXISTS may be planned as a hash
-- of the whole table.
SELECT
    i.ord,
    clock_timestamp(),
    a.not_before,
    (SELECT true FROM public.oauth_access_tokens o WHERE o.digest = i.doubt) IS NOT NULL,
    n.subject,
    n.disabled_at,
    n.not_before,
    n.created_at,
    g.session_id,
    g.client_id,
    g.subject,
    g.opened_at,
    (SELECT true FROM auth.refresh_session s WHERE s.jti = g.session_id) IS NOT NULL,
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
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bytea[])
    WITH ORDINALITY AS i (client_id, subject, opened_by, request_id, doubt, ord)
CROSS JOIN countersign.authority a
LEFT JOIN countersign.client c ON c.client_id = i.client_id
LEFT JOIN countersign.account n ON n.subject = i.subject AND n.subject = ANY ($2::uuid[])
LEFT JOIN countersign.session_grant g
    ON g.opened_by = i.opened_by AND g.request_id = i.request_id
