-- purge.look_at_families
-- The next families from a place on whose absolute expiry has passed, in its order,
-- ended or not. $2: how long ago it must have passed, $3: how long a request id
-- makes its opening repeatable, both in milliseconds. A family whose opening may still be
-- repeated comes without its id: left out, millions of them would be read behind the limit.
SELECT
    statement_timestamp(),
    g.expires_at,
    CASE
        WHEN g.request_id IS NULL
            OR g.opened_at < statement_timestamp() - $3::bigint * interval '1 millisecond'
            THEN g.session_id
    END
FROM countersign.session_grant g
WHERE g.expires_at >= $1::timestamptz
    AND g.expires_at < statement_timestamp() - $2::bigint * interval '1 millisecond'
ORDER BY g.expires_at
LIMIT 1000
