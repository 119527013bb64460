-- authority.fence
-- The cut-off covers everything that exists, whatever the clock says.
UPDATE countersign.authority
SET not_before = greatest(
    not_before,
    clock_timestamp(),
    (
        SELECT max(t.created_at)
        FROM public.oauth_access_tokens t
        WHERE t.expires_at > clock_timestamp() AND t.metadata ? 'countersign'
    ),
    (
        SELECT max(s.created_at)
        FROM auth.refresh_session s
        JOIN countersign.session_grant g ON g.session_id = s.jti
        WHERE s.expires_at > clock_timestamp()
    )
)
RETURNING not_before
