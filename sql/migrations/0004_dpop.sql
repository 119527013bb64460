-- What a client demands of those who ask for its tokens, and the proofs that were used.

ALTER TABLE countersign.client
    ADD COLUMN bearer_allowed boolean NOT NULL DEFAULT true,
    ADD COLUMN dpop_required boolean NOT NULL DEFAULT false,
    ADD COLUMN dpop_nonce_required boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN countersign.client.bearer_allowed IS 'false: its tokens are bound to a key, and those that are not count as dead.';
COMMENT ON COLUMN countersign.client.dpop_required IS 'true: whoever asks for its tokens proves a key.';
COMMENT ON COLUMN countersign.client.dpop_nonce_required IS 'true: and does so with a nonce of the authority.';

-- Unlogged: what a crash forgets is of proofs that live for minutes.
CREATE UNLOGGED TABLE countersign.dpop_proof (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 16),
    expires_at timestamptz NOT NULL
);
CREATE INDEX dpop_proof_expires_at_idx ON countersign.dpop_proof (expires_at);
COMMENT ON TABLE countersign.dpop_proof IS 'DPoP proofs that resource servers showed, where all replicas remember them together (dpop.replay = shared).';
COMMENT ON COLUMN countersign.dpop_proof.digest IS 'Hash of the key''s thumbprint, the URI and the jti.';
COMMENT ON COLUMN countersign.dpop_proof.expires_at IS 'From then on the proof is refused for its age.';

UPDATE countersign.authority SET schema_version = 4;
