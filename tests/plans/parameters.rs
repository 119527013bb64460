//! What each statement of the serving role is explained with.

use tokio_postgres::Client;

/// A parameter of a statement; an array has as many elements as the batch has calls.
#[derive(Debug, Clone, Copy)]
pub enum P {
    /// Arrays of what stands in the big tables.
    Sessions,
    Subjects,
    Clients,
    Secrets,
    /// Digests of refresh and of access tokens.
    Ledger,
    Digests,
    Requests,
    /// Arrays of what does not.
    NewIds,
    NewLedger,
    NewDigests,
    NewProofs,
    Nulls,
    /// An array of one text over and over.
    Each(&'static str),
    /// One value.
    One(&'static str),
    OneSubject,
    OneClient,
    /// How many calls there are.
    Count,
}

use P::{
    Clients, Count, Digests, Each, Ledger, NewDigests, NewIds, NewLedger, NewProofs, Nulls, One,
    OneClient, OneSubject, Requests, Secrets, Sessions, Subjects,
};

const NULL: P = One("NULL");
const NOW: P = Each("2026-01-01 00:00:00+00");
const LONG_AGO: P = One("'2020-01-01 00:00:00+00'");
const MARGIN: P = One("300000");
const DAY: P = One("86400000");
const SALT: P = Each("\\\\x00112233445566778899aabbccddeeff");
const SETTINGS: [P; 16] = [
    OneClient,
    One("'name'"),
    One("'{}'"),
    One("'{}'"),
    One("'{}'"),
    One("'{}'"),
    One("'{}'"),
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    One("'refuse'"),
    One("true"),
    One("false"),
    One("false"),
];

/// One row a statement of the serving role.
#[rustfmt::skip]
pub const TABLE: &[(&str, &[P])] = &[
    ("callers/standing", &[Clients, Secrets, Each("spiffe://example.org/a")]),
    ("identities/of_clients", &[Clients]),
    ("identities/clients", &[Each("spiffe://example.org/a")]),
    ("identities/lock", &[]),
    ("identities/remove", &[OneClient, Each("spiffe://example.org/a")]),
    ("identities/add", &[OneClient, Each("spiffe://example.org/a")]),
    ("proofs/remember", &[NewProofs, DAY]),
    ("sessions/lock_to_rotate", &[Sessions]),
    ("sessions/lock_to_end", &[Sessions]),
    ("sessions/read", &[Sessions, Ledger, Digests]),
    ("sessions/rotate", &[Sessions, Each("1"), Ledger, NewLedger, Clients, Subjects, NOW, Nulls, Nulls]),
    ("sessions/open", &[NewIds, Clients, Subjects, NewLedger, NOW, NOW, Nulls, Nulls, Nulls, Sessions]),
    ("sessions/grant", &[NewIds, Clients, Subjects, Clients, Requests, Each("a b"), Nulls, Nulls, Each("7"), SALT, NOW, NOW]),
    ("sessions/end", &[Sessions, Each("revoked")]),
    ("sessions/of_user", &[Subjects, Clients]),
    ("sessions/estimate", &[]),
    ("sessions/list", &[OneSubject, NULL, One("'infinity'"), One("'ffffffff-ffff-ffff-ffff-ffffffffffff'")]),
    ("tokens/insert", &[NewDigests, NewIds, Clients, Subjects, Each("a b"), Nulls, Nulls, Sessions, Each("7"), NOW, NOW]),
    ("tokens/insert_unchanged", &[Clients, Each("(a)"), NULL, NULL, Clients, Secrets, Each("spiffe://example.org/a"), Clients, Nulls, NewDigests, NewIds, Each("1"), Clients, Each("a b"), Nulls, Nulls, Each("7"), Each("60000000")]),
    ("tokens/read", &[Digests, Clients, Secrets, Each("spiffe://example.org/a")]),
    ("tokens/revoke", &[Digests]),
    ("tokens/revoke_of_user", &[OneSubject, NULL]),
    ("issuance/lock_clients", &[Clients]),
    ("issuance/lock_users", &[Subjects]),
    ("issuance/lock_users_to_count", &[Subjects]),
    ("issuance/lock_requests", &[Each("1")]),
    ("issuance/clients", &[Clients]),
    ("issuance/read", &[Subjects, Clients, Requests, Digests]),
    ("events/record", &[Each("session_ended"), Each("revoked"), Sessions, Nulls, Clients, Subjects, Clients, Nulls, Nulls]),
    ("clients/link", &[OneClient]),
    ("clients/refused_scopes", &[Each("a")]),
    ("clients/refused_audience", &[Each("urn:x")]),
    ("clients/create", &SETTINGS),
    ("clients/update", &SETTINGS),
    ("clients/read", &[OneClient]),
    ("clients/lock", &[OneClient]),
    ("clients/list", &[OneClient]),
    ("clients/cut_off", &[OneClient, NULL]),
    ("secrets/insert", &[OneClient, OneClient, One("'x'"), One("7")]),
    ("secrets/of_clients", &[Clients]),
    ("secrets/retire", &[OneClient, OneClient]),
    ("secrets/exists", &[OneClient, OneClient]),
    ("users/link", &[Subjects]),
    ("users/bridge", &[Subjects, Nulls]),
    ("users/register", &[Subjects]),
    ("users/read", &[OneSubject]),
    ("users/lock", &[OneSubject]),
    ("users/cut_off", &[OneSubject, NULL]),
    ("ids/allocate_sessions", &[One("2146483647"), Count]),
    ("ids/allocate_users", &[One("2146483647"), Count]),
    ("ids/pass_on", &[One("'auth.user'"), One("2000000"), One("2146483647")]),
    ("ids/headroom", &[]),
    ("authority/read", &[]),
    ("purge/look_at_families", &[LONG_AGO, MARGIN, DAY]),
    ("purge/lock_sessions", &[Sessions, MARGIN]),
    ("purge/lock_grants", &[Sessions, Sessions]),
    ("purge/remove_ledger", &[Sessions]),
    ("purge/remove_families", &[Sessions]),
    ("purge/look_at_access_tokens", &[LONG_AGO, MARGIN]),
    ("purge/remove_access_tokens", &[Digests, MARGIN]),
    ("purge/remove_proofs", &[Count]),
    ("replicas/beat", &[OneSubject, One("'0.1.0'"), One("'{}'")]),
    ("replicas/leave", &[OneSubject]),
    ("purge/count", &[MARGIN, DAY]),
];

/// Statements that have no plan, or that the serving role never runs, each with its reason.
pub const WITHOUT: &[(&str, &str)] = &[
    ("transactions/begin", "no plan"),
    ("transactions/commit", "no plan"),
    ("transactions/rollback", "no plan"),
    ("transactions/search", "no plan"),
    ("replicas/live", "of the role that migrates"),
    (
        "keys/count",
        "goes through everything, a few times an hour while keys are rolled over",
    ),
    ("condition/read", "of the doctor"),
    ("authority/fence_lock", "of the role that migrates"),
    ("clients/queue", "no plan"),
    ("authority/fence", "of the role that migrates"),
];

/// The ids of the first thousand rows, as the elements of array literals.
pub struct Ids(Vec<Vec<String>>);

const MADE: [&str; 11] = [
    "md5('s' || n)::uuid::text",
    "md5('u' || n)::uuid::text",
    "md5('c' || n % 8)::uuid::text",
    "'\\\\x' || md5(md5('c' || n % 8)::uuid::text) || md5('x')",
    "md5('t' || n || 0) || md5(0 || 't' || n)",
    "'\\\\x' || md5('d' || n) || md5('e' || n)",
    "CASE WHEN n % 10 = 0 THEN 'r' || n ELSE 'NULL' END",
    "md5('new' || n)::uuid::text",
    "md5('new' || n) || md5('ledger' || n)",
    "'\\\\x' || md5('new' || n) || md5('digest' || n)",
    "'\\\\x' || md5('new' || 'proof' || n)",
];

impl Ids {
    pub async fn read(sql: &Client) -> Self {
        let mut ids = Vec::new();
        for made in MADE {
            let query =
                format!("SELECT array_agg({made} ORDER BY n) FROM generate_series(1, 1000) n");
            ids.push(sql.query_one(&query, &[]).await.unwrap().get(0));
        }
        Self(ids)
    }

    /// The parameter as SQL, for a batch of so many calls.
    pub fn literal(&self, parameter: P, calls: usize) -> String {
        let made = |at: usize| self.0[at][..calls].to_vec();
        let elements = match parameter {
            Sessions => made(0),
            Subjects => made(1),
            Clients => made(2),
            Secrets => made(3),
            Ledger => made(4),
            Digests => made(5),
            Requests => made(6),
            NewIds => made(7),
            NewLedger => made(8),
            NewDigests => made(9),
            NewProofs => made(10),
            Nulls => vec!["NULL".to_owned(); calls],
            Each(text) => vec![text.to_owned(); calls],
            One(literal) => return literal.to_owned(),
            OneSubject => return format!("'{}'", self.0[1][0]),
            OneClient => return format!("'{}'", self.0[2][0]),
            Count => return calls.to_string(),
        };
        let quoted: Vec<_> = elements
            .iter()
            .map(|element| match element.as_str() {
                "NULL" => "NULL".to_owned(),
                text => format!("\"{text}\""),
            })
            .collect();
        format!("'{{{}}}'", quoted.join(","))
    }
}
