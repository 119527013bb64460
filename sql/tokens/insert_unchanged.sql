-- tokens.insert_unchanged
-- Client-only tokens, decided on what was read before: each client ($1, and its row as it was
-- printed, $2), the fence ($3), and callers ($5 to $7 as in callers.standing, and $8 the client
-- that each was, $9 that of its identity). All of them are inserted where all of that is as it
-- was and the clock has passed the last cut-off among it ($4), and else none. A transaction of
-- its own: it returns the tokens' time, or no row. A cut-off of a client waits for this; one that
-- is under way leaves its row out, and so does whoever holds the client's row of the shared table,
-- for which the foreign key would wait.
-- Of each token there are digest and id ($10, $11); what many have in common is sent and made
-- once ($13 to $18), and $12 is where each one's stands there.
WITH held AS MATERIALIZED (
    SELECT
    FROM unnest($1::uuid[], $2::text[]) AS i (client_id, printed)
    JOIN countersign.client c ON c.client_id = i.client_id AND c::text = i.printed
    JOIN public.oauth_clients k ON k.id = c.client_id
    FOR KEY SHARE OF c, k SKIP LOCKED
), unchanged AS MATERIALIZED (
    SELECT clock_timestamp() AS at
    FROM countersign.authority a
    WHERE a.not_before IS NOT DISTINCT FROM $3::timestamptz
        AND cardinality($1::uuid[]) = (SELECT count(*) FROM held)
        AND cardinality($5::uuid[]) = (
            SELECT count(*)
            FROM unnest($5::uuid[], $6::bytea[], $7::text[], $8::uuid[], $9::uuid[])
                AS i (client_id, digest, identity, caller, identity_of)
            LEFT JOIN countersign.client_secret s
                ON s.digest = i.digest AND s.client_id = i.client_id AND s.retired_at IS NULL
            LEFT JOIN countersign.client_identity x ON x.identity = i.identity
            WHERE i.caller = CASE WHEN i.digest IS NULL THEN x.client_id ELSE s.client_id END
                AND x.client_id IS NOT DISTINCT FROM i.identity_of
        )
        AND coalesce(clock_timestamp() > $4::timestamptz, true)
), terms AS MATERIALIZED (
    SELECT
        i.ord,
        i.client_id,
        string_to_array(i.scopes, ' ') AS scopes,
        nullif(string_to_array(i.audience, ' '), '{}') AS audience,
        (CASE WHEN i.dpop_jkt IS NULL THEN 'Bearer' ELSE 'DPoP' END)::public.token_type
            AS token_type,
        i.dpop_jkt,
        jsonb_build_object('countersign', i.key_id) AS metadata,
        u.at,
        u.at + i.life * interval '1 microsecond' AS expires_at
    FROM unchanged u
    CROSS JOIN unnest(
        $13::uuid[], $14::text[], $15::text[], $16::text[], $17::bigint[], $18::bigint[]
    ) WITH ORDINALITY AS i (client_id, scopes, audience, dpop_jkt, key_id, life, ord)
), inserted AS (
    INSERT INTO public.oauth_access_tokens
        (digest, jti, client_id, scopes, audience, token_type, dpop_jkt, metadata,
         created_at, updated_at, expires_at)
    SELECT
        i.digest,
        i.jti,
        t.client_id,
        t.scopes,
        t.audience,
        t.token_type,
        t.dpop_jkt,
        t.metadata,
        t.at,
        t.at,
        t.expires_at
    FROM unnest($10::bytea[], $11::uuid[], $12::bigint[]) AS i (digest, jti, terms)
    JOIN terms t ON t.ord = i.terms
)
SELECT u.at FROM unchanged u
