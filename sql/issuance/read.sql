-- issuance.read
-- Of orders that name a user, bear a request id or are in doubt: $1 subjects (NULL:
-- client-only), $2 who asks, $3 request ids (NULL: none), $4 digests of access tokens
-- whose commit is in doubt (NULL: none). Whether a row stands is asked by a scalar
-- subquery: EXISTS may be planned as a hash of the whole table.
SELECT
    i.ord,
    (SELECT o.expires_at FROM public.oauth_access_tokens o WHERE o.digest = i.doubt),
    n.subject,
    n.disabled_at,
    n.not_before,
    n.created_at,
    g.session_id,
    g.client_id,
    g.subject,
    g.opened_at,
    (SELECT true FROM auth.refresh_session s WHERE s.jti = g.session_id) IS NOT NULL
FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[])
    WITH ORDINALITY AS i (subject, opened_by, request_id, doubt, ord)
LEFT JOIN countersign.account n ON n.subject = i.subject AND n.subject = ANY ($1::uuid[])
LEFT JOIN countersign.session_grant g
    ON g.opened_by = i.opened_by AND g.request_id = i.request_id
