-- replicas.leave
-- And whoever has given no sign of life for a day.
DELETE FROM countersign.replica
WHERE replica_id = $1::uuid OR seen_at < clock_timestamp() - interval '1 day'
