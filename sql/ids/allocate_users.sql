-- ids.allocate_users
-- As ids.allocate_sessions, of auth."user".
WITH c AS MATERIALIZED (
    SELECT next_id FROM countersign.id_cursor WHERE table_name = 'auth.user' FOR UPDATE
), free AS MATERIALIZED (
    SELECT n
    FROM c, generate_series(c.next_id, least(c.next_id + 99999, $1::bigint)) AS n
    WHERE NOT EXISTS (SELECT FROM auth."user" b WHERE b.id = n::int)
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
    WHERE table_name = 'auth.user'
)
SELECT n::int FROM free
