-- bench.settings
SELECT name, current_setting(name)
FROM unnest(
    '{server_version,fsync,synchronous_commit,full_page_writes,wal_compression,max_wal_size,shared_buffers}'::text[]
) AS name
