-- tokens.revoke_of_user
-- The tokens of a user that belong to no session; $2 NULL: of every client. Locked in the
-- order of the digests, as tokens.revoke does.
WITH l AS MATERIALIZED (
    SELECT t.digest
    FROM public.oauth_access_tokens t
    WHERE t.user_id = $1::uuid
        AND t.client_id = coalesce($2::uuid, t.client_id)
        AND t.metadata ? 'countersign'
        AND NOT t.metadata ? 'session_id'
    ORDER BY t.digest
    FOR UPDATE
)
DELETE FROM public.oauth_access_tokens t
USING l
WHERE t.digest = l.digest
