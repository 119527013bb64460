-- What proves a client without a secret.

CREATE TABLE countersign.client_identity (
    identity text PRIMARY KEY,
    client_id uuid NOT NULL REFERENCES countersign.client (client_id)
);
CREATE INDEX client_identity_client_id_idx ON countersign.client_identity (client_id);
COMMENT ON TABLE countersign.client_identity IS 'Names in certificates that prove a client; each is one client''s.';
COMMENT ON COLUMN countersign.client_identity.identity IS 'A SPIFFE ID, spiffe://trust-domain/path, or dns: and a DNS name in lower case.';

UPDATE countersign.authority SET schema_version = 3;
