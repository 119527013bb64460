-- sessions.rotate
-- One step of each session; its row is locked, and the version is compared again. COMMIT may
-- travel behind it unseen, so it does the whole or fails: by a division by zero.
WITH i AS MATERIALIZED (
    SELECT *
    FROM unnest(
        $1::uuid[], $2::int[], $3::text[], $4::text[], $5::uuid[], $6::uuid[],
        $7::timestamptz[], $8::text[], $9::inet[]
    ) AS i (session_id, version, parent, child, client_id, subject, at, user_agent, ip_address)
), stepped AS (
    UPDATE auth.refresh_session s
    SET refresh_version = s.refresh_version + 1,
        last_used_at = i.at,
        user_agent = coalesce(i.user_agent, s.user_agent),
        ip_address = coalesce(i.ip_address, s.ip_address)
    FROM i
    WHERE s.jti = i.session_id AND s.refresh_version = i.version
    RETURNING s.jti
), marked AS (
    UPDATE auth.refresh_tokens t
    SET revoked = true, updated_at = i.at
    FROM i
    WHERE t.token = i.parent AND t.session_id = i.session_id
), born AS (
    INSERT INTO auth.refresh_tokens
        (instance_id, token, user_id, revoked, created_at, updated_at, parent, session_id)
    SELECT i.client_id, i.child, i.subject::text, false, i.at, i.at, i.parent, i.session_id
    FROM i
)
SELECT 1 / (count(*) = cardinality($1::uuid[]))::int
FROM stepped
