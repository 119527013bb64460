-- bench.insert_ledger
INSERT INTO auth.refresh_tokens
    (instance_id, token, user_id, revoked, created_at, updated_at, parent, session_id)
VALUES ($1::uuid, $2::text, $3::uuid::text, false, now(), now(), $4::text, $5::uuid)
