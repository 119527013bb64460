-- users.link
-- Makes the rows of new users, unless they stand there already.
INSERT INTO public.users (id)
SELECT subject
FROM unnest($1::uuid[]) AS subject
WHERE NOT EXISTS (SELECT FROM public.users u WHERE u.id = subject)
ORDER BY subject
ON CONFLICT DO NOTHING
