-- purge.count
-- What a purge would remove now: sessions, grants, ledger rows, access tokens, DPoP proofs. $1: how
-- long ago it must have expired, $2: how long a request id makes its opening
-- repeatable, both in milliseconds.
WITH past AS MATERIALIZED (
    SELECT
        g.session_id,
        g.client_id,
        g.subject,
        (SELECT s.expires_at FROM auth.refresh_session s WHERE s.jti = g.session_id) AS expires_at
    FROM countersign.session_grant g
    WHERE g.expires_at < statement_timestamp() - $1::bigint * interval '1 millisecond'
        AND (
            g.request_id IS NULL
            OR g.opened_at < statement_timestamp() - $2::bigint * interval '1 millisecond'
        )
), families AS MATERIALIZED (
    SELECT *
    FROM past
    WHERE expires_at IS NULL
        OR expires_at < statement_timestamp() - $1::bigint * interval '1 millisecond'
)
SELECT
    (SELECT count(expires_at) FROM families),
    (SELECT count(*) FROM families),
    (
        SELECT coalesce(sum(rows), 0)::bigint
        FROM families f
        CROSS JOIN LATERAL (
            SELECT count(*) AS rows
            FROM auth.refresh_tokens t
            WHERE t.session_id = f.session_id
                AND t.instance_id = f.client_id
                AND t.user_id = f.subject::text
        ) ledger
    ),
    (
        SELECT count(*)
        FROM public.oauth_access_tokens t
        WHERE t.expires_at < statement_timestamp() - $1::bigint * interval '1 millisecond'
            AND t.metadata ? 'countersign'
    ),
    (
        SELECT count(*)
        FROM countersign.dpop_proof p
        WHERE p.expires_at < statement_timestamp()
    )
