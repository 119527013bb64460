-- bench.wal
-- Bytes of WAL since the beginning of time.
SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint
