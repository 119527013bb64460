//! The table of instruments: everything that is measured, in one place.
//!
//! A room records only what has a row here. No attribute can grow without bound:
//! each takes its values from a fixed set.

/// Bounds of the buckets of durations, in seconds: from a batch of a local database to a
/// deadline.
const SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];
/// Bounds of the buckets of counts.
const COUNTS: &[f64] = &[
    1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1000.0,
];

/// What an instrument does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstrumentKind {
    /// Only grows.
    Counter,
    /// A distribution.
    Histogram,
    /// What was last seen.
    Gauge,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Instrument {
    /// Its name (OpenTelemetry naming).
    pub name: &'static str,
    /// What it does.
    pub kind: InstrumentKind,
    /// Its unit (UCUM).
    pub unit: &'static str,
    /// What it tells.
    pub description: &'static str,
    /// Its attributes, each with the values that it takes.
    pub attributes: &'static [(&'static str, &'static str)],
    /// The upper bounds of a histogram's buckets.
    pub bounds: &'static [f64],
}

impl InstrumentKind {
    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Histogram => "histogram",
            Self::Gauge => "gauge",
        }
    }
}

impl Instrument {
    /// Its name on the page for Prometheus: words joined by `_`, the unit and, of a counter,
    /// `total` behind it.
    pub fn prometheus(&self) -> String {
        let mut name = self.name.replace('.', "_");
        if self.unit == "s" {
            name.push_str("_seconds");
        }
        if self.kind == InstrumentKind::Counter {
            name.push_str("_total");
        }
        name
    }
}

macro_rules! instruments {
    ($(
        $(#[doc = $doc:literal])+
        $NAME:ident = $name:literal, $kind:ident, $unit:literal $(, $bounds:ident)?
            { $($attribute:literal: $values:literal),* } $description:literal;
    )+) => {
        $(
            $(#[doc = $doc])+
            pub const $NAME: Instrument = Instrument {
                name: $name,
                kind: InstrumentKind::$kind,
                unit: $unit,
                description: $description,
                attributes: &[$(($attribute, $values)),*],
                bounds: instruments!(@bounds $($bounds)?),
            };
        )+

        /// All of them.
        pub const TABLE: &[Instrument] = &[$($NAME),+];
    };
    (@bounds $bounds:ident) => { $bounds };
    (@bounds) => { &[] };
}

instruments! {
    /// Calls that ended.
    CALLS = "countersign.calls", Counter, "{call}"
        { "method": "a method of the port, or `_OTHER`", "code": "a gRPC code", "reason": "a name of `ErrorReason`; empty: none" }
        "Calls, by method, gRPC code and reason.";
    /// How long calls take.
    CALL_DURATION = "countersign.call.duration", Histogram, "s", SECONDS
        { "method": "a method of the port, or `_OTHER`" }
        "How long calls take in the server, by method.";
    /// Refusals by reason.
    REFUSALS = "countersign.refusals", Counter, "{refusal}"
        { "reason": "a name of `ErrorReason`" }
        "What was refused, by reason; within one BatchIntrospect there may be several.";
    /// Requests that a proxy asked about.
    CHECKS = "countersign.checks", Counter, "{request}"
        { "outcome": "allowed, anonymous or denied", "reason": "NO_TOKEN, MALFORMED, INVALID_TOKEN, INVALID_DPOP_PROOF, USE_DPOP_NONCE, WRONG_AUDIENCE, INSUFFICIENT_SCOPE, NO_SUBJECT, WRONG_PRINCIPAL, MISCONFIGURED, UNAVAILABLE or CALLER; empty: it was let through" }
        "Requests that Envoy asked about, by what it was told; those that no handler saw are among countersign.calls.";
    /// Proxies' words that were not heard.
    FORWARDED_IGNORED = "countersign.forwarded.ignored", Counter, "{call}"
        { "cause": "untrusted, malformed, not_one_uri or not_spiffe" }
        "Calls whose x-forwarded-client-cert was ignored, by cause.";
    /// Rotations by outcome.
    ROTATIONS = "countersign.rotations", Counter, "{rotation}"
        { "outcome": "rotated, replayed, superseded, reused, unknown or refused" }
        "Rotations that were decided, by outcome: reused ended its family, unknown is authentic but not in the database.";
    /// Tokens that needed no query to be refused.
    MALFORMED_TOKENS = "countersign.tokens.malformed", Counter, "{token}"
        { "cause": "form, checksum, unknown_key or mac" }
        "Presented tokens and secrets that were refused without a query, by cause.";
    /// Sessions that ended by revocation.
    SESSIONS_REVOKED = "countersign.sessions.revoked", Counter, "{session}" {}
        "Live sessions that a revocation ended.";
    /// How many sessions there are.
    SESSIONS_ESTIMATE = "countersign.sessions.estimate", Gauge, "{session}" {}
        "Sessions in the table, as the planner of PostgreSQL estimates them; of the whole database, absent until it was analysed.";
    /// Audit records that were dropped.
    AUDIT_DROPPED = "countersign.audit.dropped", Counter, "{record}" {}
        "Audit records dropped because their stream could not keep up or could not be written.";
    /// Calls of a batch.
    BATCH_CALLS = "countersign.batch.calls", Histogram, "{call}", COUNTS
        { "kind": "introspect, issue, open, rotate or revoke" }
        "Calls that went to the database in one batch, by kind.";
    /// How long a call waited for its batch.
    BATCH_WAIT = "countersign.batch.wait", Histogram, "s", SECONDS
        { "kind": "introspect, issue, open, rotate or revoke" }
        "How long a call waited before its batch was sent, by kind.";
    /// How many calls wait for a batch.
    BATCH_DEPTH = "countersign.batch.depth", Gauge, "{call}"
        { "kind": "introspect, issue, open, rotate or revoke" }
        "Calls that wait for a batch now, by kind; batch.max_waiting is the most.";
    /// Calls that were refused before the database.
    BATCH_SHED = "countersign.batch.shed", Counter, "{call}"
        { "kind": "introspect, issue, open, rotate or revoke", "cause": "length or wait" }
        "Calls refused before the database, by kind: batch.max_waiting waited already, or batch.max_wait had passed.";
    /// Whether calls are refused because the database is away.
    BREAKER_OPEN = "countersign.breaker.open", Gauge, "{breaker}" {}
        "1 while the database is known to be away and calls are refused at once, 0 while they are not.";
    /// How often that came about.
    BREAKER_OUTAGES = "countersign.breaker.outages", Counter, "{outage}" {}
        "How often the database was found to be away.";
    /// The pool's connections.
    POOL_CONNECTIONS = "countersign.pool.connections", Gauge, "{connection}"
        { "state": "used or idle" }
        "Connections to the database, by state; database.connections is the most.";
    /// Work that waits for a connection.
    POOL_WAITING = "countersign.pool.waiting", Gauge, "{request}" {}
        "Work that waits for a connection now.";
    /// Work that got no connection in time.
    POOL_TIMEOUTS = "countersign.pool.timeouts", Counter, "{request}" {}
        "Work that waited longer than database.acquire_timeout for a connection.";
    /// How long the database takes.
    DATABASE_DURATION = "countersign.database.duration", Histogram, "s", SECONDS
        { "statement": "a file of `sql/`" }
        "From sending a statement to its answer; statements of one flight wait for each other.";
    /// 32-bit ids that are left.
    IDS_LEFT = "countersign.ids.left", Gauge, "{id}"
        { "table": "auth.refresh_session or auth.user" }
        "Ids that the identity of a documented table can still give out before its reserve; below 0, freed ids are used again.";
    /// Rows that were purged.
    PURGED_ROWS = "countersign.purge.rows", Counter, "{row}"
        { "kind": "session, grant, ledger, access_token or dpop_proof" }
        "Expired rows that this process purged, by kind.";
    /// How far purging is behind.
    PURGE_LAG = "countersign.purge.lag", Gauge, "s"
        { "kind": "family or access_token" }
        "How long ago the oldest row expired that is due and was left at the end of the last pass, by kind; 0: none was left.";
    /// Passes that failed.
    PURGE_FAILURES = "countersign.purge.failures", Counter, "{pass}" {}
        "Passes of the purge that the database failed.";
    /// Proofs that are remembered.
    DPOP_REMEMBERED = "countersign.dpop.remembered", Gauge, "{proof}" {}
        "DPoP proofs that this replica remembers; dpop.replay_entries is the most.";
    /// The size of the key ring.
    KEYS = "countersign.keys", Gauge, "{key}" {}
        "Keys of the ring in use.";
    /// The age of keys.
    KEY_AGE = "countersign.key.age", Gauge, "s"
        { "key": "minting or oldest" }
        "How long ago a key was made, where its line in the key file says so.";
    /// What lives under keys that do not mint.
    KEY_DEPENDENTS = "countersign.key.dependents", Gauge, "{item}"
        { "kind": "session, access_token or client_secret" }
        "What lives under the keys of the ring that do not mint, and would end with them; looked at every quarter of an hour while there are such keys, and whenever the ring changes.";
    /// How long the server's certificate is good for.
    CERTIFICATE_LEFT = "countersign.certificate.left", Gauge, "s" {}
        "How long until the server's own certificate expires; absent without TLS.";
    /// Reloads by outcome.
    RELOADS = "countersign.reloads", Counter, "{reload}"
        { "what": "keys, log or certificates", "outcome": "changed, unchanged or failed" }
        "Files read again, by outcome; after failed what was in use stays in use.";
    /// Whether the server is ready.
    READY = "countersign.ready", Gauge, "{server}" {}
        "1 while the server is ready, 0 while it is not.";
    /// Telemetry that was dropped.
    TELEMETRY_DROPPED = "countersign.telemetry.dropped", Counter, "{item}"
        { "signal": "spans or metrics", "cause": "buffer or export" }
        "Spans, and sendings of metrics, that the collector did not get: the buffer was full, or it did not take them.";
    /// What runs.
    BUILD = "countersign.build", Gauge, "{process}"
        { "version": "this binary's version" }
        "Always 1.";
}
