-- bench.vacuum
VACUUM (ANALYZE)
