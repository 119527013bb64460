-- purge.count
-- What a purge would remove now: sessions, grants, ledger rows, access tokens. $1: how
-- long ago it must have expired, $2: how long a request id makes its opening
-- repeatable, both in milliseconds.
WITH families AS MATERIALIZED (
    SELECT g.session_id, g.client_id, g.subject, s.jti
    FROM countersign.session_grant g
    LEFT JOIN auth.refresh_session s ON s.jti = g.session_id
    WHERE g.expires_at < statement_timestamp() - $1::bigint * interval '1 millisecond'
        AND (
            g.request_id IS NULL
            OR g.opened_at < statement_timestamp() - $2::bigint * interval '1 millisecond'
        )
        AND (
            s.jti IS NULL
            OR s.expires_at < statement_timestamp() - $1::bigint * interval '1 millisecond'
        )
)
SELECT
    (SELECT count(jti) FROM families),
    (SELECT count(*) FROM families),
    (
        SELECT count(*)
        FROM families f
        JOIN auth.refresh_tokens t ON t.session_id = f.session_id
        WHERE t.instance_id = f.client_id AND t.user_id = f.subject::text
    ),
    (
        SELECT count(*)
        FROM public.oauth_access_tokens t
        WHERE t.expires_at < statement_timestamp() - $1::bigint * interval '1 millisecond'
            AND t.metadata ? 'countersign'
    )
