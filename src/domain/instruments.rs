//! The table of instruments: everything that is measured, in one place.
//!
//! A room records only what has a row here. No attribute can grow without bound:
//! each takes its values from a fixed set.

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
    /// Its attributes.
    pub attributes: &'static [&'static str],
}

/// Calls by method and code.
pub const CALLS: Instrument = Instrument {
    name: "countersign.calls",
    kind: InstrumentKind::Counter,
    unit: "{call}",
    description: "Calls, by method and gRPC code.",
    attributes: &["method", "code"],
};
/// How long calls take.
pub const CALL_DURATION: Instrument = Instrument {
    name: "countersign.call.duration",
    kind: InstrumentKind::Histogram,
    unit: "s",
    description: "How long calls take in the server, by method.",
    attributes: &["method"],
};
/// Refusals by reason.
pub const REFUSALS: Instrument = Instrument {
    name: "countersign.refusals",
    kind: InstrumentKind::Counter,
    unit: "{refusal}",
    description: "Refused calls, by reason (the names of ErrorReason).",
    attributes: &["reason"],
};
/// Forwarded headers that said nothing.
pub const FORWARDED_IGNORED: Instrument = Instrument {
    name: "countersign.forwarded.ignored",
    kind: InstrumentKind::Counter,
    unit: "{call}",
    description: "Calls whose x-forwarded-client-cert was ignored, by cause: untrusted, malformed, not_one_uri or not_spiffe.",
    attributes: &["cause"],
};
/// Rotations by outcome.
pub const ROTATIONS: Instrument = Instrument {
    name: "countersign.rotations",
    kind: InstrumentKind::Counter,
    unit: "{rotation}",
    description: "Successful rotations, by outcome: rotated or replayed.",
    attributes: &["outcome"],
};
/// Tokens that needed no query to be refused.
pub const MALFORMED_TOKENS: Instrument = Instrument {
    name: "countersign.tokens.malformed",
    kind: InstrumentKind::Counter,
    unit: "{token}",
    description: "Presented tokens that were refused without a query, by cause: form, \
                  checksum, unknown_key or mac.",
    attributes: &["cause"],
};
/// Sessions that ended by revocation.
pub const SESSIONS_REVOKED: Instrument = Instrument {
    name: "countersign.sessions.revoked",
    kind: InstrumentKind::Counter,
    unit: "{session}",
    description: "Live sessions that a revocation ended.",
    attributes: &[],
};
/// Audit records that were dropped.
pub const AUDIT_DROPPED: Instrument = Instrument {
    name: "countersign.audit.dropped",
    kind: InstrumentKind::Counter,
    unit: "{record}",
    description: "Audit records dropped because their stream could not keep up.",
    attributes: &[],
};
/// Calls of a batch.
pub const BATCH_CALLS: Instrument = Instrument {
    name: "countersign.batch.calls",
    kind: InstrumentKind::Histogram,
    unit: "{call}",
    description: "Calls that went to the database in one batch, by kind.",
    attributes: &["kind"],
};
/// How long a call waited for its batch.
pub const BATCH_WAIT: Instrument = Instrument {
    name: "countersign.batch.wait",
    kind: InstrumentKind::Histogram,
    unit: "s",
    description: "How long a call waited before its batch was sent, by kind.",
    attributes: &["kind"],
};

/// 32-bit ids that are left.
pub const IDS_LEFT: Instrument = Instrument {
    name: "countersign.ids.left",
    kind: InstrumentKind::Gauge,
    unit: "{id}",
    description: "Ids that the identity of a documented table can still give out before its \
                  reserve; below 0, freed ids are used again.",
    attributes: &["table"],
};

/// Rows that were purged.
pub const PURGED_ROWS: Instrument = Instrument {
    name: "countersign.purge.rows",
    kind: InstrumentKind::Counter,
    unit: "{row}",
    description: "Expired rows that this process purged, by kind: session, grant, ledger or \
                  access_token.",
    attributes: &["kind"],
};
/// How far purging is behind.
pub const PURGE_LAG: Instrument = Instrument {
    name: "countersign.purge.lag",
    kind: InstrumentKind::Gauge,
    unit: "s",
    description: "How long ago the oldest row expired that is due and was left at the end of \
                  the last pass, by kind: family or access_token; 0: none was left.",
    attributes: &["kind"],
};
/// Passes that failed.
pub const PURGE_FAILURES: Instrument = Instrument {
    name: "countersign.purge.failures",
    kind: InstrumentKind::Counter,
    unit: "{pass}",
    description: "Passes of the purge that the database failed.",
    attributes: &[],
};

/// All of them.
pub const TABLE: &[Instrument] = &[
    CALLS,
    CALL_DURATION,
    REFUSALS,
    ROTATIONS,
    MALFORMED_TOKENS,
    SESSIONS_REVOKED,
    FORWARDED_IGNORED,
    AUDIT_DROPPED,
    BATCH_CALLS,
    BATCH_WAIT,
    IDS_LEFT,
    PURGED_ROWS,
    PURGE_LAG,
    PURGE_FAILURES,
];
