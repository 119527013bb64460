-- proofs.remember
-- Remembers proofs, each for its life; those that come back were not there before.
-- $1 digests in their order, without repeats, $2 their life in milliseconds.
INSERT INTO countersign.dpop_proof (digest, expires_at)
SELECT i.digest, clock_timestamp() + $2::bigint * interval '1 millisecond'
FROM unnest($1::bytea[]) AS i (digest)
ON CONFLICT (digest) DO NOTHING
RETURNING digest
