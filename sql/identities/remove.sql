-- identities.remove
-- All of a client's but these.
DELETE FROM countersign.client_identity
WHERE client_id = $1::uuid AND identity <> ALL ($2::text[])
