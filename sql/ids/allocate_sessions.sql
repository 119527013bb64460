-- ids.allocate_sessions
-- Takes up to $2 freed ids of auth.refresh_session from the next 100,000 at the
-- cursor, which goes round below $1 and so never meets what the identity gives out.
WITH c AS MATERIALIZED (
    SELECT next_id FROM countersign.id_cursor WHERE table_name = 'auth.refresh_session' FOR UPDATE
), free AS MATERIALIZED (
    SELECT n
    FROM c, generate_series(c.next_id, least(c.next_id + 99999, $1::bigint)) AS n
    WHERE NOT EXISTS (SELECT FROM auth.refresh_session s WHERE s.id = n::int)
    ORDER BY n
    LIMIT $2::bigint
), last AS (
    SELECT CASE WHEN count(free.n) = $2 THEN max(n) ELSE least(c.next_id + 99999, $1) END AS n
    FROM c LEFT JOIN free ON true
    GROUP BY c.next_id
), moved AS (
    UPDATE countersign.id_cursor
    SET next_id = CASE WHEN last.n >= $1 THEN 1 ELSE last.n + 1 END
    FROM last
    WHERE table_name = 'auth.refresh_session'
)
SELECT n::int FROM free
