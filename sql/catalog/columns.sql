-- catalog.columns
SELECT n.nspname || '.' || c.relname AS relation,
       a.attname::text AS name,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
       a.attnotnull OR t.typnotnull AS not_null,
       a.attidentity <> '' AS identity,
       a.attidentity = 'a' AS identity_always,
       a.attgenerated <> '' AS generated,
       a.attcollation <> t.typcollation AS collated,
       pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS fill,
       pg_catalog.col_description(c.oid, a.attnum) AS comment
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE n.nspname || '.' || c.relname = ANY ($1)
  AND a.attnum > 0
  AND NOT a.attisdropped
ORDER BY 1, a.attnum
