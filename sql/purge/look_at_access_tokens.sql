-- purge.look_at_access_tokens
-- The next expired access tokens from a place on, in order of expiry; a foreign one
-- without its digest, so that the walk passes it and cannot touch it. $2: how long
-- ago a token must have expired, in milliseconds.
SELECT
    statement_timestamp(),
    t.expires_at,
    CASE WHEN t.metadata ? 'countersign' THEN t.digest END
FROM public.oauth_access_tokens t
WHERE t.expires_at >= $1::timestamptz
    AND t.expires_at < statement_timestamp() - $2::bigint * interval '1 millisecond'
ORDER BY t.expires_at
LIMIT 1000
