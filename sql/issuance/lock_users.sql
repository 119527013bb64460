-- issuance.lock_users
-- A cut-off of the user waits for this, or this for it. The rows of others that the foreign keys
-- of what is written will lock are locked here: there they would be waited for, by the whole batch.
SELECT n.subject
FROM countersign.account n
JOIN public.users u ON u.id = n.subject
JOIN auth."user" b ON b.id = n.user_id
WHERE n.subject = ANY ($1::uuid[])
ORDER BY n.subject
FOR KEY SHARE OF n, u, b SKIP LOCKED
