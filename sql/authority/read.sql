-- authority.read
SELECT schema_version, lowest_binary, pg_is_in_recovery(), current_setting('synchronous_commit')
FROM countersign.authority
