-- ids.pass_on
-- Moves the cursor of a table ($1) on by $2 ids, round below $3: where a search found none, the
-- next one begins behind it.
UPDATE countersign.id_cursor
SET next_id = CASE WHEN next_id + $2::bigint >= $3::bigint THEN 1 ELSE next_id + $2::bigint END
WHERE table_name = $1::text
