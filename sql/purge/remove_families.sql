-- purge.remove_families
-- Sessions and grants that are locked and have no ledger any more, and the mark up
-- to which sessions may have been purged.
WITH i AS MATERIALIZED (
    SELECT session_id FROM unnest($1::uuid[]) AS i (session_id)
), sessions AS (
    DELETE FROM auth.refresh_session s
    USING i, countersign.session_grant g
    WHERE s.jti = i.session_id AND g.session_id = i.session_id
    RETURNING s.jti
), grants AS (
    DELETE FROM countersign.session_grant g
    USING i
    WHERE g.session_id = i.session_id
    RETURNING g.session_id
), newest AS (
    SELECT session_id FROM i ORDER BY session_id DESC LIMIT 1
), marked AS (
    UPDATE countersign.authority a
    SET purged_to = newest.session_id
    FROM newest
    WHERE a.purged_to IS NULL OR a.purged_to < newest.session_id
)
SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM grants)
