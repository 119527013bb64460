-- users.lock
-- Waits for every login of the user that is under way, and holds back the next.
SELECT subject, disabled_at, not_before, created_at
FROM countersign.account
WHERE subject = $1::uuid
FOR UPDATE
