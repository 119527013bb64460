-- sessions.grant
-- The grants of sessions just opened. Another opening with the request id may be under
-- way: it is waited for, and then the row is left out, so that the call is tried again
-- and finds it.
INSERT INTO countersign.session_grant
    (session_id, client_id, subject, opened_by, request_id, scopes, audience, dpop_jkt, key_id,
     salt, opened_at, expires_at)
SELECT
    session_id, client_id, subject, opened_by, request_id,
    string_to_array(scopes, ' '), nullif(string_to_array(audience, ' '), '{}'),
    dpop_jkt, key_id, salt, at, expires_at
FROM unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[],
    $8::text[], $9::bigint[], $10::bytea[], $11::timestamptz[], $12::timestamptz[]
) AS i (
    session_id, client_id, subject, opened_by, request_id, scopes, audience,
    dpop_jkt, key_id, salt, at, expires_at
)
ON CONFLICT (opened_by, request_id) WHERE request_id IS NOT NULL DO NOTHING
