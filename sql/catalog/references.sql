-- catalog.references
SELECT n.nspname || '.' || c.relname AS relation,
       k.conname::text AS name,
       k.conrelid::pg_catalog.regclass::text AS referrer,
       k.confdeltype IN ('a', 'r') AS holds
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = k.confrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname || '.' || c.relname = ANY ($1)
  AND k.contype = 'f'
  AND k.conparentid = 0
ORDER BY 1, 2
