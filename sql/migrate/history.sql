-- migrate.history
SELECT version, name::text AS name, checksum::text AS checksum
FROM countersign.migration_history
ORDER BY version
