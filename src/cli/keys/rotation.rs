//! Key rotation: add, roll out, promote, retire, and what to look at before each.

use super::{file, generated};
use crate::{
    cli::{
        exit::Exit,
        failure::Failure,
        migrate::DatabaseArgs,
        output::{self, Record},
    },
    domain::keys::{KeyId, KeyRing},
    keyfile::read_key_file,
    store::{self, KeyUse, Replica},
};
use clap::Args;
use std::path::PathBuf;

/// The options of `keys list`.
#[derive(Args)]
pub struct ListArgs {
    /// The key file
    #[arg(long, value_name = "PATH")]
    file: PathBuf,
}

/// The options of `keys add`.
#[derive(Args)]
pub struct AddArgs {
    /// The key file
    #[arg(long, value_name = "PATH")]
    file: PathBuf,
}

/// The options of `keys check`.
#[derive(Args)]
pub struct CheckArgs {
    /// The key file
    #[arg(long, value_name = "PATH")]
    file: PathBuf,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// The options of `keys promote`.
#[derive(Args)]
pub struct PromoteArgs {
    /// The key's id
    #[arg(value_name = "KEY", value_parser = key_id)]
    key: KeyId,
    /// The key file
    #[arg(long, value_name = "PATH")]
    file: PathBuf,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// The options of `keys retire`.
#[derive(Args)]
pub struct RetireArgs {
    /// The key's id
    #[arg(value_name = "KEY", value_parser = key_id)]
    key: KeyId,
    /// The key file
    #[arg(long, value_name = "PATH")]
    file: PathBuf,
    #[command(flatten)]
    database: DatabaseArgs,
    /// End what still lives under it
    #[arg(long)]
    yes: bool,
}

fn key_id(text: &str) -> Result<KeyId, String> {
    let digits = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = digits.then(|| u32::from_str_radix(text, 16).ok()).flatten();
    id.map(KeyId)
        .ok_or_else(|| "expected 8 hexadecimal digits".to_owned())
}

/// The keys of a file, the minting one first.
pub(super) fn list(args: &ListArgs, json: bool) -> Result<Exit, Failure> {
    let (_, ring) = read(&args.file)?;
    let keys = ring.ids().map(|id| of_ring(&ring, id)).collect();
    output::print(Record::default().rows("keys", keys), json)
}

/// Adds a key behind the others.
pub(super) fn add(args: &AddArgs) -> Result<Exit, Failure> {
    read(&args.file)?;
    generated(Some(&args.file), true)
}

/// What lives under each key, which servers have it, and what is wrong with that.
pub(super) async fn check(args: CheckArgs, json: bool) -> Result<Exit, Failure> {
    let (_, ring) = read(&args.file)?;
    let (replicas, uses) = look(&args.database).await?;
    let troubles = troubles(&ring, &replicas, &uses);
    let mut keys: Vec<_> = ring
        .ids()
        .map(|id| counted(of_ring(&ring, id), &uses, id))
        .collect();
    keys.extend(lost(&ring, &uses).map(|used| {
        let record = Record::default()
            .text("key", used.key_id.to_string())
            .flag("in_file", false);
        counted(record, &uses, used.key_id)
    }));
    let sound = troubles.is_empty();
    let record = Record::default()
        .rows("keys", keys)
        .rows("replicas", replicas.into_iter().map(of_replica).collect())
        .list("troubles", troubles);
    output::print(record, json)?;
    Ok(if sound { Exit::Ok } else { Exit::Refused })
}

/// What is wrong with a ring, beside the servers that run and what lives.
pub fn troubles(ring: &KeyRing, replicas: &[Replica], uses: &[KeyUse]) -> Vec<String> {
    let dead = lost(ring, uses).map(|lost| {
        let id = lost.key_id;
        format!("what lives under {id} is dead without it: {}", what(lost))
    });
    let mut troubles: Vec<_> = dead.collect();
    for id in ring.ids() {
        let lacking = lacking(replicas, id);
        if !lacking.is_empty() {
            let servers = lacking.join(", ");
            troubles.push(format!("these servers do not have {id} yet: {servers}"));
        }
    }
    for other in replicas.iter().flat_map(|replica| &replica.keys) {
        let trouble = format!("a server has {other}, which the file does not");
        if ring.get(*other).is_none() && !troubles.contains(&trouble) {
            troubles.push(trouble);
        }
    }
    troubles
}

/// What lives under keys that the ring does not have.
fn lost<'u>(ring: &'u KeyRing, uses: &'u [KeyUse]) -> impl Iterator<Item = &'u KeyUse> {
    uses.iter().filter(|used| ring.get(used.key_id).is_none())
}

/// Lets another key mint, once every server has it.
pub(super) async fn promote(args: PromoteArgs) -> Result<Exit, Failure> {
    let (text, ring) = read(&args.file)?;
    let id = args.key;
    if ring.get(id).is_none() {
        return Err(refused(format!("{} has no key {id}", args.file.display())));
    }
    if ring.minting().id() == id {
        return Err(refused(format!("{id} mints already")));
    }
    let (replicas, _) = look(&args.database).await?;
    let lacking = lacking(&replicas, id);
    if !lacking.is_empty() {
        let servers = lacking.join(", ");
        let why = format!(
            "these servers do not have {id} yet, and would take what it mints for forged: \
             {servers}; roll the file out, and wait until they have read it"
        );
        return Err(refused(why));
    }
    file::rewrite(&args.file, &promoted(&text, id))?;
    output::say(&format!("{id} mints; {} servers have it\n", replicas.len()));
    Ok(Exit::Ok)
}

/// Takes a key out of the file, which ends everything that lives under it.
pub(super) async fn retire(args: RetireArgs) -> Result<Exit, Failure> {
    let (text, ring) = read(&args.file)?;
    let id = args.key;
    if ring.get(id).is_none() {
        return Err(refused(format!("{} has no key {id}", args.file.display())));
    }
    if ring.minting().id() == id {
        return Err(refused(format!("{id} mints; promote another key first")));
    }
    let (replicas, uses) = look(&args.database).await?;
    let mints = replicas.iter().filter(|one| one.keys.first() == Some(&id));
    let mints: Vec<_> = mints.map(|one| one.replica_id.to_string()).collect();
    if !mints.is_empty() {
        let servers = mints.join(", ");
        return Err(refused(format!(
            "these servers still mint with {id}: {servers}"
        )));
    }
    if let Some(used) = uses.iter().find(|used| used.key_id == id)
        && !args.yes
    {
        let why = format!(
            "{} would end with {id}; wait until they are over and their secrets replaced, or \
             pass --yes",
            what(used)
        );
        return Err(refused(why));
    }
    file::rewrite(&args.file, &retired(&text, id))?;
    output::say(&format!("{id} is retired\n"));
    Ok(Exit::Ok)
}

fn read(path: &std::path::Path) -> Result<(zeroize::Zeroizing<String>, KeyRing), Failure> {
    let text = read_key_file(path).map_err(|problem| Failure::Input(problem.to_string()))?;
    let ring = KeyRing::parse(&text)
        .map_err(|problem| Failure::Input(format!("{}: {problem}", path.display())))?;
    Ok((text, ring))
}

async fn look(database: &DatabaseArgs) -> Result<(Vec<Replica>, Vec<KeyUse>), Failure> {
    let url = database.read()?;
    let looked = store::look_at_keys(&url).await;
    looked.map_err(|error| Failure::of_store(&error))
}

fn refused(why: String) -> Failure {
    Failure::new(Exit::Refused, why)
}

/// The servers that lack a key, by their ids.
fn lacking(replicas: &[Replica], id: KeyId) -> Vec<String> {
    let lacking = replicas.iter().filter(|one| !one.keys.contains(&id));
    lacking.map(|one| one.replica_id.to_string()).collect()
}

fn what(used: &KeyUse) -> String {
    let KeyUse {
        sessions,
        access_tokens,
        client_secrets,
        ..
    } = used;
    format!(
        "{sessions} sessions, {access_tokens} access tokens and {client_secrets} client secrets"
    )
}

fn of_ring(ring: &KeyRing, id: KeyId) -> Record {
    let made = ring.get(id).and_then(|key| key.made());
    let record = Record::default()
        .text("key", id.to_string())
        .flag("mints", ring.minting().id() == id);
    record.text(
        "made",
        made.map(|made| made.to_rfc3339()).unwrap_or_default(),
    )
}

fn counted(record: Record, uses: &[KeyUse], id: KeyId) -> Record {
    let found = uses.iter().find(|used| used.key_id == id);
    let count = |of: fn(&KeyUse) -> u64| found.map_or(0, of);
    record
        .number("sessions", count(|used| used.sessions))
        .number("access_tokens", count(|used| used.access_tokens))
        .number("client_secrets", count(|used| used.client_secrets))
}

fn of_replica(replica: Replica) -> Record {
    let keys = replica.keys.iter().map(ToString::to_string).collect();
    Record::default()
        .text("replica", replica.replica_id.to_string())
        .text("version", replica.version)
        .list("keys", keys)
        .text("seen_at", replica.seen_at.to_rfc3339())
}

/// Whether a line of a key file is that key's.
fn is_of(line: &str, id: KeyId) -> bool {
    let first = line.split_whitespace().next().unwrap_or_default();
    key_id(first) == Ok(id)
}

/// The file with that key's line before every other key's; all else stays as it is.
fn promoted(text: &str, id: KeyId) -> zeroize::Zeroizing<String> {
    let is_key = |line: &&str| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#')
    };
    let first = text
        .lines()
        .position(|line| is_key(&line))
        .unwrap_or_default();
    let moved = text
        .lines()
        .find(|line| is_of(line, id))
        .unwrap_or_default();
    let mut new = zeroize::Zeroizing::new(String::with_capacity(text.len() + 1));
    for (at, line) in text.lines().enumerate() {
        if at == first {
            new.push_str(moved);
            new.push('\n');
        }
        if !is_of(line, id) {
            new.push_str(line);
            new.push('\n');
        }
    }
    new
}

/// The file without that key's line.
fn retired(text: &str, id: KeyId) -> zeroize::Zeroizing<String> {
    let mut new = zeroize::Zeroizing::new(String::with_capacity(text.len()));
    for line in text.lines().filter(|line| !is_of(line, id)) {
        new.push_str(line);
        new.push('\n');
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# ours\n\n0000000a A # made x\n# between\n0000000b B\n0000000C C";

    #[test]
    fn a_promoted_key_comes_first_and_everything_else_stays() {
        let new = promoted(FILE, KeyId(0xc));
        assert_eq!(
            *new,
            "# ours\n\n0000000C C\n0000000a A # made x\n# between\n0000000b B\n"
        );
        let same = promoted(FILE, KeyId(0xa));
        assert_eq!(*same, format!("{FILE}\n"));
    }

    #[test]
    fn a_retired_key_leaves_with_its_line_alone() {
        let new = retired(FILE, KeyId(0xb));
        assert_eq!(
            *new,
            "# ours\n\n0000000a A # made x\n# between\n0000000C C\n"
        );
    }

    #[test]
    fn an_id_is_eight_digits() {
        assert_eq!(key_id("0000000A"), Ok(KeyId(10)));
        for bad in ["a", "0000000g", "000000000a", "+000000a"] {
            assert!(key_id(bad).is_err(), "{bad}");
        }
    }
}
