-- ids.headroom
-- The last id that each identity gave out; foreign rows count too.
SELECT
    coalesce(pg_sequence_last_value(pg_get_serial_sequence('auth.refresh_session', 'id')), 0),
    coalesce(pg_sequence_last_value(pg_get_serial_sequence('auth."user"', 'id')), 0)
