-- catalog.authority
SELECT schema_version, lowest_binary
FROM countersign.authority
