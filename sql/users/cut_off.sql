-- users.cut_off
-- Disables ($2 true), enables (false) or only cuts off (NULL) a user whose row is
-- locked. The cut-off covers everything that exists, whatever the clock says.
UPDATE countersign.account n
SET disabled_at = CASE $2::boolean
        WHEN true THEN coalesce(n.disabled_at, clock_timestamp())
        WHEN false THEN NULL
        ELSE n.disabled_at
    END,
    not_before = greatest(
        n.not_before,
        clock_timestamp(),
        (
            SELECT max(t.created_at)
            FROM public.oauth_access_tokens t
            WHERE t.user_id = n.subject AND t.metadata ? 'countersign'
        ),
        (
            SELECT max(s.created_at)
            FROM auth.refresh_session s
            JOIN countersign.session_grant g ON g.session_id = s.jti
            WHERE s.user_id = n.user_id
        )
    )
WHERE n.subject = $1::uuid
RETURNING subject, disabled_at, not_before, created_at
