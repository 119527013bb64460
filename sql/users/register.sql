-- users.register
INSERT INTO countersign.account (subject, user_id)
SELECT b.sub, b.id
FROM auth."user" b
WHERE b.sub = ANY ($1::uuid[])
ORDER BY b.sub
ON CONFLICT DO NOTHING
RETURNING subject
