-- sessions.open
-- Session and first ledger row of each login, and a repeated request id freed from
-- the grant that was found to hold it. $9: explicit ids, or NULL to take the
-- identity's next, whose sequence is looked for once and not for each login. $10: the sessions
-- of those grants, or NULL. COMMIT may travel behind it unseen, so it does the whole or fails:
-- by a division by zero.
WITH i AS MATERIALIZED (
    SELECT *
    FROM unnest(
        $1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::timestamptz[],
        $7::text[], $8::inet[], $9::int[], $10::uuid[]
    ) AS i (
        session_id, client_id, subject, token, at, expires_at,
        user_agent, ip_address, id, taken_over
    )
), freed AS (
    UPDATE countersign.session_grant g
    SET request_id = NULL
    FROM i
    WHERE g.session_id = i.taken_over
), opened AS (
    INSERT INTO auth.refresh_session
        (id, jti, user_id, created_at, last_used_at, expires_at, user_agent, ip_address)
    OVERRIDING SYSTEM VALUE
    SELECT
        coalesce(i.id, nextval(
            (SELECT pg_get_serial_sequence('auth.refresh_session', 'id')::regclass))::int),
        i.session_id, n.user_id, i.at, i.at, i.expires_at, i.user_agent, i.ip_address
    FROM i
    JOIN countersign.account n ON n.subject = i.subject AND n.subject = ANY ($3::uuid[])
    RETURNING id
), ledger AS (
    INSERT INTO auth.refresh_tokens
        (instance_id, token, user_id, revoked, created_at, updated_at, parent, session_id)
    SELECT i.client_id, i.token, i.subject::text, false, i.at, i.at, NULL, i.session_id
    FROM i
)
SELECT max(id), 1 / (count(*) = cardinality($1::uuid[]))::int
FROM opened
