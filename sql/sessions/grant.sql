-- sessions.grant
-- The grants of sessions just opened. Apart from sessions.open, which frees a
-- repeated request id first: one statement sees no change of its own.
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
