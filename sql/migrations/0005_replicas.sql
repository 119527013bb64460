-- The servers that run, and the keys that each of them has.

CREATE TABLE countersign.replica (
    replica_id uuid PRIMARY KEY,
    version text NOT NULL,
    key_ids text[] NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE countersign.replica IS 'Servers that run. Each writes its row every few seconds, and deletes it at its end.';
COMMENT ON COLUMN countersign.replica.key_ids IS 'The ids of its key ring, the minting one first.';
COMMENT ON COLUMN countersign.replica.seen_at IS 'Its last sign of life; after half a minute without one it is not counted any more.';

UPDATE countersign.authority SET schema_version = 5;
