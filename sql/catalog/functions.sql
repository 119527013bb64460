-- catalog.functions
SELECT p.proname::text AS name,
       pg_catalog.oidvectortypes(p.proargtypes) AS arguments,
       pg_catalog.format_type(p.prorettype, NULL) AS result,
       p.prosrc AS body
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = 'public'
  AND p.proname = ANY ($1)
ORDER BY 1, 2
