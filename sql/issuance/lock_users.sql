-- issuance.lock_users
-- A cut-off of the user waits for this, or this for it.
SELECT n.subject
FROM countersign.account n
WHERE n.subject = ANY ($1::uuid[])
ORDER BY n.subject
FOR KEY SHARE OF n SKIP LOCKED
