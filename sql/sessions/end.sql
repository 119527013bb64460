-- sessions.end
-- Ends locked sessions: the row goes, the ledger is marked, the grant becomes the
-- tombstone. Run after the locks, so that its snapshot sees every child. A ledger row of
-- another client or user with a session id of ours is not ours.
WITH i AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::text[]) AS i (session_id, reason)
), gone AS (
    DELETE FROM auth.refresh_session s
    USING i, countersign.session_grant g
    WHERE s.jti = i.session_id AND g.session_id = i.session_id
    RETURNING s.jti, g.client_id, g.subject
), marked AS (
    UPDATE auth.refresh_tokens t
    SET revoked = true, updated_at = clock_timestamp()
    FROM gone
    -- Said twice, so that no plan reads the whole ledger.
    WHERE t.session_id = gone.jti AND t.session_id = ANY ($1::uuid[]) AND t.revoked = false
        AND t.instance_id = gone.client_id AND t.user_id = gone.subject::text
), buried AS (
    UPDATE countersign.session_grant g
    SET ended_at = clock_timestamp(), end_reason = i.reason
    FROM i
    JOIN gone ON gone.jti = i.session_id
    WHERE g.session_id = i.session_id AND g.ended_at IS NULL
)
SELECT jti FROM gone
