-- tokens.revoke
-- Marks, and does not delete: until it expires, a revoked token still names the session
-- that it belongs to, for a logout that has no other. Locked in the order of the digests.
WITH l AS MATERIALIZED (
    SELECT t.digest
    FROM public.oauth_access_tokens t
    WHERE t.digest = ANY ($1::bytea[]) AND t.metadata ? 'countersign'
    ORDER BY t.digest
    FOR UPDATE
)
UPDATE public.oauth_access_tokens t
SET metadata = t.metadata || jsonb_build_object('revoked_at', clock_timestamp())
FROM l
WHERE t.digest = l.digest AND NOT t.metadata ? 'revoked_at'
RETURNING t.digest
