-- sessions.list
-- A user's sessions after a place in the list, the most recently used first; $2
-- NULL: of every client. The limit is literal: under a parameter the generic plan
-- scans whole tables.
SELECT
    clock_timestamp(),
    a.not_before,
    s.jti,
    s.refresh_version,
    s.created_at,
    s.last_used_at,
    s.expires_at,
    s.user_agent,
    s.ip_address,
    g.client_id,
    g.scopes,
    g.audience,
    c.scopes,
    c.idle_timeout_ms,
    c.disabled_at,
    c.not_before,
    n.disabled_at,
    n.not_before
FROM countersign.account n
CROSS JOIN countersign.authority a
JOIN auth.refresh_session s ON s.user_id = n.user_id
JOIN countersign.session_grant g ON g.session_id = s.jti
JOIN countersign.client c ON c.client_id = g.client_id
WHERE n.subject = $1::uuid
    AND g.client_id = coalesce($2::uuid, g.client_id)
    AND (s.last_used_at, s.jti) < ($3::timestamptz, $4::uuid)
ORDER BY s.last_used_at DESC, s.jti DESC
LIMIT 1000
