-- users.bridge
-- Makes the integers of new users, unless they have one already: reading first,
-- since every conflict would burn an id. $2: explicit ids, or NULL to take the
-- identity's next.
INSERT INTO auth."user" (id, sub)
OVERRIDING SYSTEM VALUE
SELECT
    coalesce(i.id, nextval(pg_get_serial_sequence('auth."user"', 'id'))::int),
    i.subject
FROM unnest($1::uuid[], $2::int[]) AS i (subject, id)
WHERE NOT EXISTS (SELECT FROM auth."user" b WHERE b.sub = i.subject)
ORDER BY i.subject
ON CONFLICT DO NOTHING
RETURNING id
