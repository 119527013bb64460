-- clients.link
-- Makes the row of a new client, unless it stands there already.
INSERT INTO public.oauth_clients (id)
SELECT $1::uuid
WHERE NOT EXISTS (SELECT FROM public.oauth_clients WHERE id = $1)
ON CONFLICT DO NOTHING
