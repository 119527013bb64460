-- issuance.lock_requests
-- One opening at a time bears a request id: the others are left out, and their calls
-- are tried again apart. A unique index would make them wait, in any order, and so in
-- rings. 7300 keeps our advisory locks apart from those of others.
SELECT i.request
FROM unnest($1::int[]) AS i (request)
WHERE pg_try_advisory_xact_lock(7300, i.request)
