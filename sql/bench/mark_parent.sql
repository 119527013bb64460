-- bench.mark_parent
UPDATE auth.refresh_tokens SET revoked = true, updated_at = now()
WHERE token = $1::text AND session_id = $2::uuid
