-- catalog.triggers
SELECT n.nspname || '.' || c.relname AS relation,
       g.tgname::text AS name,
       'trigger' AS kind,
       pg_catalog.pg_get_triggerdef(g.oid) AS definition,
       g.tgenabled = 'O' AS enabled
FROM pg_catalog.pg_trigger g
JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname || '.' || c.relname = ANY ($1)
  AND NOT g.tgisinternal
UNION ALL
SELECT n.nspname || '.' || c.relname,
       r.rulename::text,
       'rule',
       pg_catalog.pg_get_ruledef(r.oid),
       r.ev_enabled = 'O'
FROM pg_catalog.pg_rewrite r
JOIN pg_catalog.pg_class c ON c.oid = r.ev_class
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname || '.' || c.relname = ANY ($1)
  AND r.rulename <> '_RETURN'
ORDER BY 1, 2
