INSERT INTO public.users (id) SELECT md5('u' || n)::uuid FROM generate_series(1, :n) n;
INSERT INTO auth."user" (sub) SELECT id FROM public.users ORDER BY id;
INSERT INTO countersign.account (subject, user_id) SELECT sub, id FROM auth."user";
INSERT INTO public.oauth_clients (id) SELECT md5('c' || n)::uuid FROM generate_series(0, 7) n;
INSERT INTO countersign.client (client_id, name) SELECT id, 'plans' FROM public.oauth_clients ON CONFLICT DO NOTHING;
INSERT INTO countersign.client_secret (secret_id, client_id, digest, key_id)
SELECT gen_random_uuid(), client_id, decode(md5(client_id::text) || md5('x'), 'hex'), 7 FROM countersign.client;
INSERT INTO auth.refresh_session (jti, user_id, refresh_version, expires_at)
SELECT md5('s' || n)::uuid, b.id, 1, now() + (n - :n / 10) * interval '1 minute'
FROM generate_series(1, :n) n JOIN auth."user" b ON b.sub = md5('u' || n)::uuid;
INSERT INTO countersign.session_grant
    (session_id, client_id, subject, opened_by, request_id, scopes, key_id, salt, opened_at, expires_at)
SELECT md5('s' || n)::uuid, md5('c' || n % 8)::uuid, md5('u' || n)::uuid, md5('c' || n % 8)::uuid,
       CASE WHEN n % 10 = 0 THEN 'r' || n END, '{a,b}', 7, decode(md5('salt'), 'hex'), now(),
       now() + (n - :n / 10) * interval '1 minute'
FROM generate_series(1, :n) n;
INSERT INTO auth.refresh_tokens (instance_id, token, user_id, revoked, created_at, updated_at, parent, session_id)
SELECT md5('c' || n % 8)::uuid, md5('t' || n || step) || md5(step || 't' || n), md5('u' || n)::uuid::text,
       step = 0, now(), now(), CASE step WHEN 1 THEN md5('t' || n || 0) || md5(0 || 't' || n) END, md5('s' || n)::uuid
FROM generate_series(1, :n) n, generate_series(0, 1) step;
INSERT INTO public.oauth_access_tokens (digest, client_id, user_id, scopes, metadata, expires_at)
SELECT decode(md5('d' || n) || md5('e' || n), 'hex'), md5('c' || n % 8)::uuid, md5('u' || n)::uuid, '{a}',
       CASE n % 5 WHEN 0 THEN '{}'::jsonb WHEN 1 THEN '{"countersign": 7}'
       ELSE jsonb_build_object('countersign', 7, 'session_id', md5('s' || n)::uuid) END,
       now() + (n - :n / 2) * interval '1 second'
FROM generate_series(1, :n) n;
INSERT INTO countersign.event (kind, reason, session_id)
SELECT 'session_ended', 'revoked', md5('s' || n)::uuid FROM generate_series(1, :n) n;
INSERT INTO countersign.dpop_proof (digest, expires_at)
SELECT decode(md5('proof' || n), 'hex'), now() + (n - :n / 2) * interval '1 second' FROM generate_series(1, :n) n;
