-- bench.open
-- The rows of one login in one statement, the quickest way to open one session a call.
WITH opened AS (
    INSERT INTO auth.refresh_session (jti, user_id, expires_at)
    SELECT $1::uuid, n.user_id, now() + interval '30 days'
    FROM countersign.account n
    WHERE n.subject = $2
    RETURNING jti
), ledger AS (
    INSERT INTO auth.refresh_tokens
        (instance_id, token, user_id, revoked, created_at, updated_at, session_id)
    VALUES ($3::uuid, $4::text, $2::uuid::text, false, now(), now(), $1)
), granted AS (
    INSERT INTO countersign.session_grant
        (session_id, client_id, subject, opened_by, scopes, audience, key_id, salt, opened_at,
         expires_at)
    VALUES ($1, $3, $2, $3, $5::text[], $6::text[], $7::bigint, $8::bytea, now(),
            now() + interval '30 days')
), access AS (
    INSERT INTO public.oauth_access_tokens
        (digest, jti, client_id, user_id, scopes, audience, metadata, created_at, updated_at,
         expires_at)
    VALUES ($9::bytea, $10::uuid, $3, $2, $5, $6,
            jsonb_build_object('countersign', $7, 'session_id', $1), now(), now(),
            now() + interval '10 minutes')
)
SELECT jti FROM opened
