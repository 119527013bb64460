-- bench.rotate
-- The rows of one rotation in one statement that compares the version and judges
-- nothing else, the quickest way to rotate one session a call.
WITH stepped AS (
    UPDATE auth.refresh_session s
    SET refresh_version = s.refresh_version + 1, last_used_at = now()
    WHERE s.jti = $1 AND s.refresh_version = $2 AND s.expires_at > now()
    RETURNING s.jti
), marked AS (
    UPDATE auth.refresh_tokens t
    SET revoked = true, updated_at = now()
    FROM stepped
    WHERE t.token = $3 AND t.session_id = stepped.jti
), born AS (
    INSERT INTO auth.refresh_tokens
        (instance_id, token, user_id, revoked, created_at, updated_at, parent, session_id)
    SELECT $4::uuid, $5::text, $6::uuid::text, false, now(), now(), $3::text, stepped.jti
    FROM stepped
), access AS (
    INSERT INTO public.oauth_access_tokens
        (digest, jti, client_id, user_id, scopes, audience, metadata, created_at, updated_at,
         expires_at)
    SELECT $7::bytea, $8::uuid, $4, $6, $9::text[], $10::text[],
        jsonb_build_object('countersign', $11::bigint, 'session_id', stepped.jti), now(), now(),
        now() + interval '10 minutes'
    FROM stepped
)
SELECT jti FROM stepped
