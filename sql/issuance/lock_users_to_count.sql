-- issuance.lock_users_to_count
-- Where the number of sessions is limited, openings of one user wait for each other.
SELECT n.subject
FROM countersign.account n
WHERE n.subject = ANY ($1::uuid[])
ORDER BY n.subject
FOR NO KEY UPDATE OF n SKIP LOCKED
