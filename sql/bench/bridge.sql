-- bench.bridge
-- The next integer id follows those that were copied.
SELECT setval(pg_get_serial_sequence('auth."user"', 'id'), $1)
