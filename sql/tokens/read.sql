-- tokens.read
-- Everything that decides about access tokens of ours ($1), and about who asks ($2 to $4, as
-- in callers.standing): one statement to send and to answer instead of two. An unknown token,
-- and a caller who is none, has no row. A caller's row counts below 0, and a token's above.
-- A session id that is no uuid counts as a session that has ended. It is looked at as
-- bytes: as text, or by a regular expression, it would cost as much as the rest.
SELECT
    i.ord,
    clock_timestamp(),
    (SELECT a.not_before FROM countersign.authority a),
    t.jti,
    t.client_id,
    t.user_id,
    t.scopes,
    t.audience,
    t.dpop_jkt,
    t.created_at,
    t.expires_at,
    t.metadata ? 'revoked_at',
    t.metadata ? 'session_id',
    s.jti,
    CASE WHEN s.jti IS NULL THEN t.metadata ->> 'session_id' END,
    s.created_at,
    s.last_used_at,
    s.expires_at,
    c.client_id IS NOT NULL,
    c.scopes,
    c.idle_timeout_ms,
    c.bearer_allowed,
    c.disabled_at,
    c.not_before,
    n.subject IS NOT NULL,
    n.disabled_at,
    n.not_before,
    NULL::uuid,
    NULL::text[],
    NULL::timestamptz,
    NULL::text[],
    NULL::uuid
FROM unnest($1::bytea[]) WITH ORDINALITY AS i (digest, ord)
JOIN public.oauth_access_tokens t ON t.digest = i.digest AND t.metadata ? 'countersign'
LEFT JOIN auth.refresh_session s ON s.jti = CASE
    WHEN octet_length(t.metadata ->> 'session_id') = 36
        AND ltrim(textsend(t.metadata ->> 'session_id'), '-0123456789abcdef') = ''
        THEN (t.metadata ->> 'session_id')::uuid
END
LEFT JOIN countersign.client c ON c.client_id = t.client_id
LEFT JOIN countersign.account n ON n.subject = t.user_id
UNION ALL
SELECT
    -i.ord,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    c.client_id,
    c.roles,
    c.disabled_at,
    CASE WHEN c.introspection_audience = '{}' THEN c.audience ELSE c.introspection_audience END,
    x.client_id
FROM unnest($2::uuid[], $3::bytea[], $4::text[])
    WITH ORDINALITY AS i (client_id, digest, identity, ord)
LEFT JOIN countersign.client_secret s
    ON s.digest = i.digest AND s.client_id = i.client_id AND s.retired_at IS NULL
LEFT JOIN countersign.client_identity x ON x.identity = i.identity
JOIN countersign.client c
    ON c.client_id = CASE WHEN i.digest IS NULL THEN x.client_id ELSE s.client_id END
