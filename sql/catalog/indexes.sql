-- catalog.indexes
SELECT n.nspname || '.' || c.relname AS relation,
       x.relname::text AS name,
       pg_catalog.pg_get_indexdef(i.indexrelid) AS definition,
       i.indisunique AS is_unique,
       i.indisexclusion AS exclusion,
       i.indisvalid AND i.indisready AND i.indislive AS valid,
       pg_catalog.pg_get_constraintdef(k.oid) AS constraint_definition,
       CASE WHEN i.indisunique AND i.indisvalid AND i.indimmediate AND i.indnkeyatts = 1
                 AND i.indpred IS NULL AND i.indexprs IS NULL
            THEN (SELECT a.attname::text FROM pg_catalog.pg_attribute a
                  WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[0])
       END AS sole_key,
       pg_catalog.obj_description(x.oid, 'pg_class') AS comment
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid
     AND k.contype IN ('p', 'u', 'x')
WHERE n.nspname || '.' || c.relname = ANY ($1)
ORDER BY 1, 2
