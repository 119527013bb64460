-- identities.lock
-- One change of identities at a time: two that exchange theirs would wait for each
-- other's in a ring. Taken after the client's row.
SELECT pg_advisory_xact_lock(7301, 0)
