-- replicas.live
-- $1: how long ago the last sign of life may be, in milliseconds.
SELECT replica_id, version, key_ids, started_at, seen_at
FROM countersign.replica
WHERE seen_at > clock_timestamp() - $1::bigint * interval '1 millisecond'
ORDER BY started_at, replica_id
