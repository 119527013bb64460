-- users.read
SELECT subject, disabled_at, not_before, created_at
FROM countersign.account
WHERE subject = $1::uuid
