-- migrate.standing
SELECT COALESCE(bool_or(c.relname = 'authority'), false) AS authority,
       COALESCE(bool_or(c.relname = 'migration_history'), false) AS history,
       COALESCE(bool_and(pg_catalog.has_schema_privilege(n.oid, 'USAGE')
                         AND pg_catalog.has_table_privilege(c.oid, 'SELECT')), false) AS readable
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'countersign'
  AND c.relname IN ('authority', 'migration_history')
