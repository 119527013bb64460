-- condition.read
-- How a database stands, as the role that asks sees it.
SELECT current_setting('server_version_num')::int,
       current_setting('server_version'),
       clock_timestamp(),
       current_user::text,
       (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user),
       EXISTS (SELECT FROM pg_catalog.pg_class c
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname = 'countersign' AND pg_catalog.pg_has_role(current_user, c.relowner, 'MEMBER')),
       (SELECT s.version FROM pg_catalog.pg_stat_ssl s WHERE s.pid = pg_backend_pid() AND s.ssl),
       -- By a Unix socket, or over this machine's loopback.
       COALESCE(inet_server_addr() <<= '127.0.0.0/8' OR inet_server_addr() = '::1', true),
       current_setting('synchronous_commit'),
       current_setting('synchronous_standby_names'),
       (SELECT count(*) FROM pg_catalog.pg_stat_replication),
       current_setting('fsync')::boolean,
       current_setting('full_page_writes')::boolean,
       current_setting('plan_cache_mode'),
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
       (SELECT count(*) FROM pg_catalog.pg_stat_activity a WHERE a.datname IS NOT NULL)
