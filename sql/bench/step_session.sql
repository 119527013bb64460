-- bench.step_session
UPDATE auth.refresh_session SET refresh_version = refresh_version + 1, last_used_at = now()
WHERE jti = $1::uuid
