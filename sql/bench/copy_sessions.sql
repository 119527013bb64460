-- bench.copy_sessions
COPY auth.refresh_session (jti, user_id, created_at, last_used_at, expires_at)
FROM STDIN (FORMAT binary)
