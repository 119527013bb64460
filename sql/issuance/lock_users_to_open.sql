-- issuance.lock_users_to_open
-- Openings of one user wait for each other too, since they count the sessions.
SELECT n.subject
FROM countersign.account n
WHERE n.subject = ANY ($1::uuid[])
ORDER BY n.subject
FOR NO KEY UPDATE OF n SKIP LOCKED
