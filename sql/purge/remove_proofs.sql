-- purge.remove_proofs
-- $1 how many at most. Their expiry is the index's right to go: nothing refers to them.
WITH due AS MATERIALIZED (
    SELECT p.digest
    FROM countersign.dpop_proof p
    WHERE p.expires_at < statement_timestamp()
    ORDER BY p.expires_at
    LIMIT $1::bigint
    FOR UPDATE SKIP LOCKED
)
DELETE FROM countersign.dpop_proof p
USING due
WHERE p.digest = due.digest
RETURNING p.digest
