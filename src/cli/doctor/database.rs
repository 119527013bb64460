//! The database, as the role that serves sees it.

use super::finding::Finding;
use crate::{
    app,
    cli::{failure, keys},
    config::Config,
    domain::keys::KeyRing,
    store::{
        self, DatabaseUrl, Replica, StoreError,
        condition::{self, Condition, Reach},
        migrate::Rights,
        readiness::{self, Verdict},
    },
};
use chrono::TimeDelta;
use std::collections::BTreeSet;

/// The versions that the tests run on.
const TESTED: std::ops::RangeInclusive<u32> = 15..=18;
/// A difference of clocks that people notice in logs.
const NOTICED: TimeDelta = TimeDelta::seconds(1);

/// Everything about the database, in the order in which it would be put right.
pub(super) async fn look(config: &Config, ring: Option<&KeyRing>) -> Vec<Finding> {
    let url = match app::database(config) {
        Ok(url) => url,
        Err(error) => {
            let remedy = "put the setting right; the server does not start with it";
            return vec![Finding::trouble("database", error, remedy)];
        }
    };
    let mut findings = vec![serving(&url, config).await];
    let condition = match condition::examine(&url).await {
        Ok(condition) => condition,
        Err(error) => {
            let remedy = "see that it runs, that this machine can reach it, and that \
                          database.url and the files beside it are right";
            let causes = failure::causes(&error);
            findings.push(Finding::trouble("connection", causes, remedy));
            return findings;
        }
    };
    let (replicas, told) = match store::look_at_keys(&url).await {
        Ok((replicas, uses)) => {
            let troubles = ring.map(|ring| keys::troubles(ring, &replicas, &uses));
            let told = running(&replicas, troubles.unwrap_or_default());
            (replicas, told)
        }
        // Before the first migration there is nothing to look at, which was said.
        Err(StoreError::NotMigrated(_)) => (Vec::new(), Vec::new()),
        Err(error) => {
            let remedy = "which servers run, and what lives under lost keys, is not known: put \
                          right what stands above, and look again";
            let told = vec![Finding::trouble("keys", error.causes(), remedy)];
            (Vec::new(), told)
        }
    };
    findings.extend(judge(&condition, &replicas, config));
    findings.extend(told);
    findings
}

/// Whether a server would be ready.
async fn serving(url: &DatabaseUrl, config: &Config) -> Finding {
    let what = "database";
    match readiness::examine(url, config.database.allow_asynchronous_commit).await {
        Verdict::Ready => Finding::ok(what, "a server is ready with it"),
        Verdict::Waiting(why) => {
            let remedy = "a server starts and waits for it, not ready";
            Finding::trouble(what, why, remedy)
        }
        Verdict::Refused(refused) => {
            let remedy = "a server does not start with it";
            Finding::trouble(what, refused, remedy)
        }
    }
}

fn judge(condition: &Condition, replicas: &[Replica], config: &Config) -> Vec<Finding> {
    let mut findings = vec![
        version(condition),
        transport(condition),
        rights(condition),
        durability(condition),
        plans(condition),
        clocks(condition, config),
        connections(condition, replicas, config),
    ];
    let tolerated = condition.tolerated.iter();
    findings.extend(tolerated.map(|one| Finding::ok("tables", one)));
    findings
}

/// The servers that run, and what is wrong with their keys.
fn running(replicas: &[Replica], troubles: Vec<String>) -> Vec<Finding> {
    let versions: BTreeSet<_> = replicas.iter().map(|one| one.version.as_str()).collect();
    let servers = if versions.len() > 1 {
        let versions = Vec::from_iter(versions).join(" and ");
        let remedy = "two versions run side by side during an upgrade, and not for good: end it";
        Finding::advice("servers", format!("{versions} run"), remedy)
    } else {
        Finding::ok("servers", format!("{} run", replicas.len()))
    };
    let troubles = troubles.into_iter().map(|trouble| {
        let remedy =
            "see `countersign keys check`; the handbook has a page on the rotation of keys";
        Finding::trouble("keys", trouble, remedy)
    });
    [servers].into_iter().chain(troubles).collect()
}

fn version(condition: &Condition) -> Finding {
    let what = "PostgreSQL";
    let version = &condition.version;
    if TESTED.contains(&(condition.version_number / 10_000)) {
        Finding::ok(what, version)
    } else {
        let (least, most) = (TESTED.start(), TESTED.end());
        let remedy = format!("Countersign is tested on {least} to {most}; use one of them");
        Finding::advice(what, version, remedy)
    }
}

fn transport(condition: &Condition) -> Finding {
    let what = "connection";
    match &condition.tls {
        Some(version) => Finding::ok(what, version),
        None if condition.near => Finding::ok(what, "in the clear, on this machine"),
        None => Finding::advice(
            what,
            "in the clear",
            "set database.ca_file, which means sslmode=verify-full; or keep the way there private",
        ),
    }
}

fn rights(condition: &Condition) -> Finding {
    let what = "rights";
    let role = &condition.role;
    let least = "run `countersign migrate` with a role that owns the tables, and serve with \
                 the one that it makes (--serving-role)";
    match condition.reach {
        Reach::Everything => {
            return Finding::advice(what, format!("{role} is a superuser"), least);
        }
        Reach::Tables => {
            let found = format!("{role} owns the tables and may change them");
            return Finding::advice(what, found, least);
        }
        Reach::Granted => {}
    }
    let Rights {
        pending,
        through_others,
    } = &condition.rights;
    if !pending.is_empty() {
        let statements = pending.join("; ");
        let remedy = format!("run `countersign migrate --serving-role {role}`, or: {statements}");
        let found = format!("{role} lacks some, or has more than serving needs");
        Finding::trouble(what, found, remedy)
    } else if !through_others.is_empty() {
        let statements = through_others.join("; ");
        let found = format!("{role} has more than serving needs, through everybody or a group");
        let remedy = format!("if nobody else needs it: {statements}");
        Finding::advice(what, found, remedy)
    } else {
        Finding::ok(what, format!("{role} has those of serving, and no more"))
    }
}

fn durability(condition: &Condition) -> Finding {
    let what = "durability";
    let commit = &condition.synchronous_commit;
    if let Some(setting) = condition.unsafe_off.first() {
        let remedy = format!("turn {setting} on: a crash can lose or damage anything");
        return Finding::trouble(what, format!("{setting} is off"), remedy);
    }
    let names = &condition.standby_names;
    if names.is_empty() {
        return Finding::advice(
            what,
            format!("synchronous_commit is {commit}, and no standby is waited for"),
            "with the machine's disk, everything is lost: name a synchronous standby in \
             synchronous_standby_names",
        );
    }
    if condition.standbys == 0 {
        let found = format!("commits wait for {names}, and no standby is attached");
        let remedy = "nothing can be issued until it is: see why it is away";
        return Finding::trouble(what, found, remedy);
    }
    let standbys = condition.standbys;
    Finding::ok(
        what,
        format!("synchronous_commit is {commit}; commits wait for {names}, {standbys} attached"),
    )
}

fn plans(condition: &Condition) -> Finding {
    let what = "plans";
    let mode = &condition.plan_cache_mode;
    if mode == "force_generic_plan" {
        Finding::ok(what, "made once a connection")
    } else {
        let remedy = format!(
            "let {} have force_generic_plan, which `countersign migrate` gives to a role without a \
             mode: a statement is then not planned anew each time",
            condition.role
        );
        Finding::advice(what, format!("plan_cache_mode is {mode}"), remedy)
    }
}

fn clocks(condition: &Condition, config: &Config) -> Finding {
    let what = "clocks";
    let ahead = condition.clock_ahead;
    let sure = (ahead.abs() - condition.clock_doubt).max(TimeDelta::zero());
    let direction = if ahead < TimeDelta::zero() {
        "behind"
    } else {
        "ahead"
    };
    let found = format!(
        "the database's is {} ms {direction} of this machine's, give or take {} ms",
        ahead.num_milliseconds().abs(),
        condition.clock_doubt.num_milliseconds()
    );
    let remedy = "let both follow the same time (NTP); tokens live by the database's clock, \
                  DPoP proofs and certificates by this machine's";
    let skew = TimeDelta::from_std(config.dpop.clock_skew).unwrap_or(TimeDelta::MAX);
    if sure > skew.max(NOTICED) {
        Finding::trouble(what, found, remedy)
    } else if sure > NOTICED {
        Finding::advice(what, found, remedy)
    } else {
        Finding::ok(what, found)
    }
}

fn connections(condition: &Condition, replicas: &[Replica], config: &Config) -> Finding {
    let what = "connections";
    let servers = u32::try_from(replicas.len().max(1)).unwrap_or(u32::MAX);
    let each = u32::try_from(config.database.connections).unwrap_or(u32::MAX);
    // One more each, with which a server looks for a database that is away.
    let wanted = servers.saturating_mul(each.saturating_add(1));
    let Condition {
        connections,
        connected,
        ..
    } = condition;
    let found = format!(
        "{servers} servers may open {wanted}, their probes included; the database allows \
         {connections}, of which {connected} are open"
    );
    if wanted > *connections {
        let remedy = "raise max_connections, lower database.connections, or put PgBouncer between";
        Finding::trouble(what, found, remedy)
    } else {
        Finding::ok(what, found)
    }
}
