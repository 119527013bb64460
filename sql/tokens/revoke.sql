-- tokens.revoke
DELETE FROM public.oauth_access_tokens t
WHERE t.digest = ANY ($1::bytea[]) AND t.metadata ? 'countersign'
RETURNING t.digest
