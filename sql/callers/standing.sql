-- callers.standing
-- What is known of callers who present live secrets, and of those who present an
-- identity and no secret; the others have no row.
SELECT
    i.ord,
    c.client_id,
    c.roles,
    c.disabled_at,
    CASE WHEN c.introspection_audience = '{}' THEN c.audience ELSE c.introspection_audience END,
    x.client_id
FROM unnest($1::uuid[], $2::bytea[], $3::text[])
    WITH ORDINALITY AS i (client_id, digest, identity, ord)
LEFT JOIN countersign.client_secret s
    ON s.digest = i.digest AND s.client_id = i.client_id AND s.retired_at IS NULL
LEFT JOIN countersign.client_identity x ON x.identity = i.identity
JOIN countersign.client c
    ON c.client_id = CASE WHEN i.digest IS NULL THEN x.client_id ELSE s.client_id END
