-- keys.count
-- What lives under each key: sessions, access tokens, client secrets. It looks at all of
-- them, since a key is asked about a few times a year.
SELECT k.key_id, sum(k.sessions)::bigint, sum(k.access_tokens)::bigint, sum(k.client_secrets)::bigint
FROM (
    SELECT g.key_id, count(*) AS sessions, 0 AS access_tokens, 0 AS client_secrets
    FROM countersign.session_grant g
    JOIN auth.refresh_session s ON s.jti = g.session_id
    WHERE s.expires_at > clock_timestamp()
    GROUP BY g.key_id
    UNION ALL
    SELECT (t.metadata ->> 'countersign')::bigint, 0, count(*), 0
    FROM public.oauth_access_tokens t
    WHERE t.expires_at > clock_timestamp()
        AND t.metadata ? 'countersign'
        AND NOT t.metadata ? 'revoked_at'
    GROUP BY 1
    UNION ALL
    SELECT c.key_id, 0, 0, count(*)
    FROM countersign.client_secret c
    WHERE c.retired_at IS NULL
    GROUP BY c.key_id
) k
GROUP BY k.key_id
ORDER BY k.key_id
