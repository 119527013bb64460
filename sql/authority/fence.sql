-- authority.fence
-- The cut-off covers everything that exists, whatever the clock says.
UPDATE countersign.authority
SET not_before = greatest(
    not_before,
    clock_timestamp(),
    (
        SELECT max(t.created_at)
        FROM public.oauth_access_tokens t
        WHERE t.expires_at > statement_timestamp() AND t.metadata ? 'countersign'
    ),
    (
        SELECT max(s.created_at)
        FROM auth.refresh_session s
        WHERE s.expires_at > statement_timestamp()
            AND (SELECT true FROM countersign.session_grant g WHERE g.session_id = s.jti)
    )
)
RETURNING not_before
