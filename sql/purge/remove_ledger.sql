-- purge.remove_ledger
-- Ledger rows of families whose grants are locked, as many as one transaction may
-- remove. A row of another client or user with a session id of ours is not ours.
WITH due AS MATERIALIZED (
    SELECT t.id
    FROM countersign.session_grant g
    JOIN auth.refresh_tokens t ON t.session_id = g.session_id
    WHERE g.session_id = ANY ($1::uuid[])
        AND t.instance_id = g.client_id
        AND t.user_id = g.subject::text
    LIMIT 1000
)
DELETE FROM auth.refresh_tokens t
USING due
WHERE t.id = due.id
