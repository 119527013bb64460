-- sessions.of_user
-- The sessions of users with clients, live or not; $2 NULL: with any client.
SELECT i.ord, s.jti, g.client_id, s.created_at, s.last_used_at, s.expires_at, g.scopes
FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS i (subject, client_id, ord)
JOIN countersign.account n ON n.subject = i.subject AND n.subject = ANY ($1::uuid[])
JOIN auth.refresh_session s ON s.user_id = n.user_id
JOIN countersign.session_grant g ON g.session_id = s.jti
WHERE g.client_id = coalesce(i.client_id, g.client_id)
