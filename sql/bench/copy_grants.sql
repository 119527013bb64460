-- bench.copy_grants
COPY countersign.session_grant (session_id, client_id, subject, opened_by, scopes, audience, key_id, salt, opened_at, expires_at)
FROM STDIN (FORMAT binary)
