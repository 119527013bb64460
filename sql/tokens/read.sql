-- tokens.read
-- Everything that decides about access tokens of ours; an unknown one has no row.
-- A session id that is no uuid counts as a session that has ended. OFFSET 0 keeps the
-- planner from computing it once for the join and once more for the row, and no regular
-- expression looks at it: either would cost as much as the rest.
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
    x.session_id,
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
    n.not_before
FROM unnest($1::bytea[]) WITH ORDINALITY AS i (digest, ord)
JOIN public.oauth_access_tokens t ON t.digest = i.digest AND t.metadata ? 'countersign'
CROSS JOIN LATERAL (
    SELECT t.metadata ->> 'session_id' AS text OFFSET 0
) m
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN octet_length(m.text) = 36 AND ltrim(m.text, '-0123456789abcdef') = ''
            THEN m.text::uuid
    END AS session_id
    OFFSET 0
) x
LEFT JOIN auth.refresh_session s ON s.jti = x.session_id
LEFT JOIN countersign.client c ON c.client_id = t.client_id
LEFT JOIN countersign.account n ON n.subject = t.user_id
