//! How a database stands, for the doctor: what a role sees over one connection of its own.

use super::{
    catalog::{self, Extent, Severity},
    columns::Columns,
    connect,
    error::StoreError,
    migrate::{self, Rights},
    statements,
    url::DatabaseUrl,
};
use crate::domain::clock;
use chrono::{DateTime, TimeDelta, Utc};

/// How much a role may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// A superuser may do everything.
    Everything,
    /// It owns tables of `countersign`, or may act as their owner.
    Tables,
    /// What it was granted.
    Granted,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Condition {
    /// The version, as in `server_version_num`: 150004 is 15.4.
    pub version_number: u32,
    /// The version as the server writes it.
    pub version: String,
    /// How far the database's clock is ahead of this machine's.
    pub clock_ahead: TimeDelta,
    /// How sure that is: half of what the question took.
    pub clock_doubt: TimeDelta,
    /// The role that asked.
    pub role: String,
    /// How much that role may do.
    pub reach: Reach,
    /// What stands between it and the rights of serving.
    pub rights: Rights,
    /// The version of TLS; `None`: in the clear.
    pub tls: Option<String>,
    /// Whether it is on this machine.
    pub near: bool,
    /// `synchronous_commit` of this role.
    pub synchronous_commit: String,
    /// `synchronous_standby_names`; empty: no standby is waited for.
    pub standby_names: String,
    /// Standbys that are attached.
    pub standbys: u64,
    /// Which of `fsync` and `full_page_writes` are off.
    pub unsafe_off: Vec<&'static str>,
    /// `plan_cache_mode` of this role.
    pub plan_cache_mode: String,
    /// Connections that roles without privileges may open together.
    pub connections: u32,
    /// Connections that are open, of everybody.
    pub connected: u64,
    /// What stands beyond the documents, each in a sentence.
    pub tolerated: Vec<String>,
}

/// Looks at everything. Changes nothing.
pub async fn examine(url: &DatabaseUrl) -> Result<Condition, StoreError> {
    // Of several servers, the one that takes writes is the one that serves.
    let mut client = connect::connect(url.that_writes()).await?;
    let statement = statements::CONDITION_READ;
    // The connection is warm after the first time, so that the second measures the clocks.
    client.query_typed_one(statement.text, &[]).await?;
    let asked = clock::now();
    let row = client.query_typed_one(statement.text, &[]).await?;
    let heard = clock::now();
    let took = heard - asked;
    let mut columns = Columns::of(&row, statement.name);
    let mut condition = Condition {
        version_number: columns.count()?,
        version: columns.take()?,
        clock_ahead: columns.take::<DateTime<Utc>>()? - (asked + took / 2),
        clock_doubt: took / 2,
        role: columns.take()?,
        reach: match (columns.take()?, columns.take()?) {
            (true, _) => Reach::Everything,
            (false, true) => Reach::Tables,
            (false, false) => Reach::Granted,
        },
        rights: Rights::default(),
        tls: columns.take()?,
        near: columns.take()?,
        synchronous_commit: columns.take()?,
        standby_names: columns.take()?,
        standbys: columns.rows()?,
        unsafe_off: {
            let settings: [(_, bool); 2] = [
                ("fsync", columns.take()?),
                ("full_page_writes", columns.take()?),
            ];
            let off = settings.into_iter().filter(|(_, on)| !on);
            off.map(|(setting, _)| setting).collect()
        },
        plan_cache_mode: columns.take()?,
        connections: columns.count()?,
        connected: columns.rows()?,
        tolerated: Vec::new(),
    };
    condition.rights = migrate::rights(&client, &condition.role).await?;
    let report = catalog::check(&mut client, Extent::Catalogue).await?;
    let tolerated = report.of(Severity::Tolerated);
    condition.tolerated = tolerated.map(ToString::to_string).collect();
    Ok(condition)
}
