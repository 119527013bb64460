-- bench.insert_session
INSERT INTO auth.refresh_session (jti, user_id, expires_at)
SELECT $1::uuid, n.user_id, now() + interval '30 days'
FROM countersign.account n
WHERE n.subject = $2::uuid
