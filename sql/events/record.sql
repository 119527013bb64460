-- events.record
-- The one statement that writes events.
INSERT INTO countersign.event
    (kind, reason, session_id, token_id, client_id, subject, actor, request, detail)
SELECT kind, reason, session_id, token_id, client_id, subject, actor, request, coalesce(detail, '{}')
FROM unnest(
    $1::text[], $2::text[], $3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::text[],
    $9::jsonb[]
) AS e (kind, reason, session_id, token_id, client_id, subject, actor, request, detail)
