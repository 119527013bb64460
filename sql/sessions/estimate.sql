-- sessions.estimate
-- How many sessions there are, as the planner believes; NULL before the first analysis.
SELECT nullif(reltuples, -1)::bigint
FROM pg_catalog.pg_class
WHERE oid = 'auth.refresh_session'::regclass
