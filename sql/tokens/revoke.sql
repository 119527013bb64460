-- tokens.revoke
-- Marks, and does not delete: until it expires, a revoked token still names the session
-- that it belongs to, for a logout that has no other. Locked in the order of the digests, but
-- for those that another transaction holds. Returns each that exists, whether it was got, and
-- whether it was marked just now.
WITH got AS MATERIALIZED (
    SELECT t.digest
    FROM public.oauth_access_tokens t
    WHERE t.digest = ANY ($1::bytea[]) AND t.metadata ? 'countersign'
    ORDER BY t.digest
    FOR UPDATE SKIP LOCKED
), marked AS (
    UPDATE public.oauth_access_tokens t
    SET metadata = t.metadata || jsonb_build_object('revoked_at', clock_timestamp())
    FROM got
    WHERE t.digest = got.digest AND NOT t.metadata ? 'revoked_at'
    RETURNING t.digest
)
SELECT t.digest, got.digest IS NOT NULL, marked.digest IS NOT NULL
FROM public.oauth_access_tokens t
LEFT JOIN got ON got.digest = t.digest
LEFT JOIN marked ON marked.digest = t.digest
WHERE t.digest = ANY ($1::bytea[]) AND t.metadata ? 'countersign'
