-- bench.copy_users
COPY public.users (id)
FROM STDIN (FORMAT binary)
