-- bench.revoke
-- The rows of one revocation in one statement.
WITH gone AS (
    DELETE FROM auth.refresh_session s
    WHERE s.jti = $1
    RETURNING s.jti
), marked AS (
    UPDATE auth.refresh_tokens t
    SET revoked = true, updated_at = now()
    FROM gone
    WHERE t.session_id = gone.jti AND t.revoked = false
), buried AS (
    UPDATE countersign.session_grant g
    SET ended_at = now(), end_reason = 'revoked'
    FROM gone
    WHERE g.session_id = gone.jti
), told AS (
    INSERT INTO countersign.event (kind, reason, session_id)
    SELECT 'session_ended', 'revoked', gone.jti
    FROM gone
)
SELECT jti FROM gone
