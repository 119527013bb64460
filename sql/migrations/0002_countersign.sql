-- What the documented tables have no place for. Every table is owned by the role
-- that migrates; the role that serves gets its rights from sql/roles/.
--
-- Conventions: times are UTC instants; `_ms` columns are milliseconds; NULL means
-- what the column's comment says. No column holds a token, a secret or a key.
-- The schema itself is made before, with the history of migrations.

CREATE TABLE countersign.authority (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    schema_version integer NOT NULL,
    lowest_binary text NOT NULL,
    not_before timestamptz,
    purged_to uuid
);
COMMENT ON TABLE countersign.authority IS 'One row: what this database is, and the fence.';
COMMENT ON COLUMN countersign.authority.schema_version IS 'Number of the newest migration.';
COMMENT ON COLUMN countersign.authority.lowest_binary IS 'The lowest version of the binary that this schema supports.';
COMMENT ON COLUMN countersign.authority.not_before IS 'The fence: tokens and sessions created at or before this are dead. NULL: no fence.';
COMMENT ON COLUMN countersign.authority.purged_to IS 'The newest session id that was purged after its absolute expiry: one beyond it was never purged, so where it is unknown it was lost. NULL: none yet.';
INSERT INTO countersign.authority (schema_version, lowest_binary) VALUES (2, '0.1.0');

CREATE TABLE countersign.client (
    client_id uuid PRIMARY KEY REFERENCES public.oauth_clients (id),
    name text NOT NULL,
    roles text[] NOT NULL DEFAULT '{}',
    scopes text[] NOT NULL DEFAULT '{}',
    audience text[] NOT NULL DEFAULT '{}',
    default_audience text[] NOT NULL DEFAULT '{}',
    introspection_audience text[] NOT NULL DEFAULT '{}',
    access_token_ttl_ms bigint,
    session_ttl_ms bigint,
    idle_timeout_ms bigint,
    rotation_grace_ms bigint,
    sessions_per_user integer,
    session_limit_policy text NOT NULL DEFAULT 'refuse'
        CHECK (session_limit_policy IN ('refuse', 'end_least_recently_used')),
    disabled_at timestamptz,
    not_before timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE countersign.client IS 'What Countersign knows of a row of public.oauth_clients. Its row lock is the lock of the client: issuing takes it FOR KEY SHARE, a cut-off FOR UPDATE.';
COMMENT ON COLUMN countersign.client.roles IS 'issuer, introspector, revoker, admin.';
COMMENT ON COLUMN countersign.client.scopes IS 'The scopes that its tokens may have.';
COMMENT ON COLUMN countersign.client.audience IS 'The audience that its tokens may have.';
COMMENT ON COLUMN countersign.client.default_audience IS 'The audience of a token whose request names none. Empty: none.';
COMMENT ON COLUMN countersign.client.introspection_audience IS 'The audience whose tokens an introspector may see. Empty: its audience.';
COMMENT ON COLUMN countersign.client.access_token_ttl_ms IS 'Longest and default lifetime of its access tokens. NULL: the authority''s default.';
COMMENT ON COLUMN countersign.client.session_ttl_ms IS 'Absolute lifetime of its sessions. NULL: the authority''s default.';
COMMENT ON COLUMN countersign.client.idle_timeout_ms IS 'A session without a step for this long is over. NULL: the authority''s default.';
COMMENT ON COLUMN countersign.client.rotation_grace_ms IS 'How long a superseded refresh token may be repeated; 0: never. NULL: the authority''s default.';
COMMENT ON COLUMN countersign.client.sessions_per_user IS 'Live sessions one user may have with it. NULL: the authority''s default.';
COMMENT ON COLUMN countersign.client.disabled_at IS 'NULL: enabled.';
COMMENT ON COLUMN countersign.client.not_before IS 'Its tokens and sessions created at or before this are dead. NULL: no cut-off.';

CREATE TABLE countersign.client_secret (
    secret_id uuid PRIMARY KEY,
    client_id uuid NOT NULL REFERENCES countersign.client (client_id),
    digest bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    key_id bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    retired_at timestamptz
);
CREATE INDEX client_secret_client_id_idx ON countersign.client_secret (client_id);
COMMENT ON TABLE countersign.client_secret IS 'Keyed digests of client secrets; the plaintext exists only in the answer that made it.';
COMMENT ON COLUMN countersign.client_secret.key_id IS 'The key under which the secret was minted.';
COMMENT ON COLUMN countersign.client_secret.retired_at IS 'NULL: live.';

CREATE TABLE countersign.account (
    subject uuid PRIMARY KEY REFERENCES public.users (id),
    user_id integer NOT NULL UNIQUE REFERENCES auth."user" (id),
    disabled_at timestamptz,
    not_before timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE countersign.account IS 'A registered user: the subject and its integer in auth."user". Its row lock is the lock of the user: issuing takes it FOR KEY SHARE, opening a session FOR NO KEY UPDATE where their number is limited, a cut-off FOR UPDATE.';
COMMENT ON COLUMN countersign.account.disabled_at IS 'NULL: enabled.';
COMMENT ON COLUMN countersign.account.not_before IS 'The user''s tokens and sessions created at or before this are dead. NULL: no cut-off.';

CREATE TABLE countersign.session_grant (
    session_id uuid PRIMARY KEY,
    client_id uuid NOT NULL,
    subject uuid NOT NULL,
    opened_by uuid NOT NULL,
    request_id text,
    scopes text[] NOT NULL,
    audience text[],
    dpop_jkt text,
    key_id bigint NOT NULL,
    salt bytea NOT NULL CHECK (octet_length(salt) = 16),
    opened_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz,
    end_reason text,
    CHECK ((ended_at IS NULL) = (end_reason IS NULL))
) WITH (fillfactor = 85);
CREATE UNIQUE INDEX session_grant_request_key
    ON countersign.session_grant (opened_by, request_id) WHERE request_id IS NOT NULL;
CREATE INDEX session_grant_expires_at_idx ON countersign.session_grant (expires_at);
COMMENT ON TABLE countersign.session_grant IS 'What a session grants, for its row in auth.refresh_session of the same id; once ended, the tombstone that says why, until the absolute expiry.';
COMMENT ON COLUMN countersign.session_grant.opened_by IS 'The client that asked for it; request_id is unique within it.';
COMMENT ON COLUMN countersign.session_grant.request_id IS 'Makes the opening repeatable for a day. NULL: it was opened without, or a repeat has taken it over.';
COMMENT ON COLUMN countersign.session_grant.audience IS 'NULL: not constrained.';
COMMENT ON COLUMN countersign.session_grant.dpop_jkt IS 'RFC 7638 thumbprint of the key that the session is bound to. NULL: a bearer session.';
COMMENT ON COLUMN countersign.session_grant.key_id IS 'The key that the session keeps for life.';
COMMENT ON COLUMN countersign.session_grant.salt IS 'Mixed into every successor, so that a key alone derives nothing.';
COMMENT ON COLUMN countersign.session_grant.expires_at IS 'The absolute expiry of the session; the session, its ledger and this row are purged after it.';
COMMENT ON COLUMN countersign.session_grant.ended_at IS 'NULL: not ended by anyone.';
COMMENT ON COLUMN countersign.session_grant.end_reason IS 'Why it ended: revoked, reused, replaced, limit.';

CREATE TABLE countersign.event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind text NOT NULL,
    reason text,
    session_id uuid,
    token_id uuid,
    client_id uuid,
    subject uuid,
    actor uuid,
    request text,
    detail jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX event_order_idx ON countersign.event (transaction_id, id);
COMMENT ON TABLE countersign.event IS 'Every ending and every administrative change, written in its transaction; insert-only for the role that serves. A reader that resumes takes rows in (transaction_id, id) order below pg_snapshot_xmin(pg_current_snapshot()): a row can become visible after one with a higher id.';
COMMENT ON COLUMN countersign.event.kind IS 'What happened, such as session_ended or client_disabled.';
COMMENT ON COLUMN countersign.event.reason IS 'Why, where a kind has several reasons.';
COMMENT ON COLUMN countersign.event.actor IS 'The client that did it. NULL: an operator with database rights, or the authority itself.';
COMMENT ON COLUMN countersign.event.request IS 'The call''s id, as in the audit stream and the logs. NULL: not a call.';

CREATE TABLE countersign.id_cursor (
    table_name text PRIMARY KEY,
    next_id bigint NOT NULL
);
INSERT INTO countersign.id_cursor (table_name, next_id)
VALUES ('auth.refresh_session', 1), ('auth.user', 1);
COMMENT ON TABLE countersign.id_cursor IS 'Where the search for freed 32-bit ids goes on, once the identity of a documented table nears its end.';
