-- bench.insert_grant
INSERT INTO countersign.session_grant
    (session_id, client_id, subject, opened_by, scopes, audience, key_id, salt, opened_at,
     expires_at)
VALUES ($1::uuid, $2::uuid, $3::uuid, $2::uuid, $4::text[], $5::text[], $6::bigint, $7::bytea,
        now(), now() + interval '30 days')
