-- bench.rights
-- Whether the role may do what only a superuser may.
SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user
