-- replicas.beat
INSERT INTO countersign.replica (replica_id, version, key_ids)
VALUES ($1::uuid, $2::text, $3::text[])
ON CONFLICT (replica_id) DO UPDATE
SET version = excluded.version,
    key_ids = excluded.key_ids,
    seen_at = clock_timestamp()
