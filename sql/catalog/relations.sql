-- catalog.relations
SELECT n.nspname || '.' || c.relname AS relation,
       c.relkind::text AS kind,
       c.relpersistence::text AS persistence,
       c.relrowsecurity AS row_security,
       COALESCE(pg_catalog.pg_relation_size(c.oid), 0) > 0 AS filled,
       pg_catalog.obj_description(c.oid, 'pg_class') AS comment
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname || '.' || c.relname = ANY ($1)
