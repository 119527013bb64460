-- callers.standing
-- What is known of callers who present live secrets; the others have no row.
SELECT
    i.ord,
    c.client_id,
    c.roles,
    c.disabled_at,
    CASE WHEN c.introspection_audience = '{}' THEN c.audience ELSE c.introspection_audience END
FROM unnest($1::uuid[], $2::bytea[]) WITH ORDINALITY AS i (client_id, digest, ord)
JOIN countersign.client_secret s
    ON s.digest = i.digest AND s.client_id = i.client_id AND s.retired_at IS NULL
JOIN countersign.client c ON c.client_id = s.client_id
