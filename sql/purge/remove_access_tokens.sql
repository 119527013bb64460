-- purge.remove_access_tokens
-- Rows that another transaction holds are left for a later pass.
WITH due AS MATERIALIZED (
    SELECT t.digest
    FROM public.oauth_access_tokens t
    WHERE t.digest = ANY ($1::bytea[])
        AND t.metadata ? 'countersign'
        AND t.expires_at < statement_timestamp() - $2::bigint * interval '1 millisecond'
    ORDER BY t.digest
    FOR UPDATE SKIP LOCKED
)
DELETE FROM public.oauth_access_tokens t
USING due
WHERE t.digest = due.digest
RETURNING t.digest
