//! Every statement, from its own file in `sql/`.

/// A statement and its name.
#[derive(Debug, Clone, Copy)]
pub struct Statement {
    /// The file under `sql/`, without `.sql`.
    pub name: &'static str,
    /// What is sent.
    pub text: &'static str,
    /// Its place among all of them.
    pub(super) place: usize,
}

macro_rules! statements {
    ($($name:ident = $file:literal;)+) => {
        /// Counts them.
        #[expect(
            non_camel_case_types,
            clippy::upper_case_acronyms,
            reason = "each is called as its statement"
        )]
        enum Place { $($name),+ }

        $(pub(super) const $name: Statement = Statement {
            name: $file,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/", $file, ".sql")),
            place: Place::$name as usize,
        };)+

        /// All of them, for the tests that prepare and explain each.
        pub const ALL: &[Statement] = &[$($name),+];
    };
}

statements! {
    BEGIN = "transactions/begin";
    COMMIT = "transactions/commit";
    ROLLBACK = "transactions/rollback";
    SEARCH = "transactions/search";
    CALLERS_STANDING = "callers/standing";
    SESSIONS_LOCK_TO_ROTATE = "sessions/lock_to_rotate";
    SESSIONS_LOCK_TO_END = "sessions/lock_to_end";
    SESSIONS_READ = "sessions/read";
    SESSIONS_ROTATE = "sessions/rotate";
    SESSIONS_OPEN = "sessions/open";
    SESSIONS_GRANT = "sessions/grant";
    SESSIONS_END = "sessions/end";
    SESSIONS_OF_USER = "sessions/of_user";
    SESSIONS_ESTIMATE = "sessions/estimate";
    SESSIONS_LIST = "sessions/list";
    PROOFS_REMEMBER = "proofs/remember";
    TOKENS_INSERT = "tokens/insert";
    TOKENS_INSERT_UNCHANGED = "tokens/insert_unchanged";
    TOKENS_READ = "tokens/read";
    TOKENS_REVOKE = "tokens/revoke";
    TOKENS_REVOKE_OF_USER = "tokens/revoke_of_user";
    ISSUANCE_LOCK_CLIENTS = "issuance/lock_clients";
    ISSUANCE_LOCK_USERS = "issuance/lock_users";
    ISSUANCE_LOCK_USERS_TO_COUNT = "issuance/lock_users_to_count";
    ISSUANCE_LOCK_REQUESTS = "issuance/lock_requests";
    ISSUANCE_CLIENTS = "issuance/clients";
    ISSUANCE_READ = "issuance/read";
    EVENTS_RECORD = "events/record";
    IDENTITIES_OF_CLIENTS = "identities/of_clients";
    IDENTITIES_CLIENTS = "identities/clients";
    IDENTITIES_LOCK = "identities/lock";
    IDENTITIES_REMOVE = "identities/remove";
    IDENTITIES_ADD = "identities/add";
    CLIENTS_LINK = "clients/link";
    CLIENTS_REFUSED_SCOPES = "clients/refused_scopes";
    CLIENTS_REFUSED_AUDIENCE = "clients/refused_audience";
    CLIENTS_CREATE = "clients/create";
    CLIENTS_UPDATE = "clients/update";
    CLIENTS_READ = "clients/read";
    CLIENTS_QUEUE = "clients/queue";
    CLIENTS_LOCK = "clients/lock";
    CLIENTS_LIST = "clients/list";
    CLIENTS_CUT_OFF = "clients/cut_off";
    SECRETS_INSERT = "secrets/insert";
    SECRETS_OF_CLIENTS = "secrets/of_clients";
    SECRETS_RETIRE = "secrets/retire";
    SECRETS_EXISTS = "secrets/exists";
    USERS_LINK = "users/link";
    USERS_BRIDGE = "users/bridge";
    USERS_REGISTER = "users/register";
    USERS_READ = "users/read";
    USERS_LOCK = "users/lock";
    USERS_CUT_OFF = "users/cut_off";
    IDS_ALLOCATE_SESSIONS = "ids/allocate_sessions";
    IDS_ALLOCATE_USERS = "ids/allocate_users";
    IDS_PASS_ON = "ids/pass_on";
    IDS_HEADROOM = "ids/headroom";
    PURGE_LOOK_AT_FAMILIES = "purge/look_at_families";
    PURGE_LOCK_SESSIONS = "purge/lock_sessions";
    PURGE_LOCK_GRANTS = "purge/lock_grants";
    PURGE_REMOVE_LEDGER = "purge/remove_ledger";
    PURGE_REMOVE_FAMILIES = "purge/remove_families";
    PURGE_LOOK_AT_ACCESS_TOKENS = "purge/look_at_access_tokens";
    PURGE_REMOVE_ACCESS_TOKENS = "purge/remove_access_tokens";
    PURGE_REMOVE_PROOFS = "purge/remove_proofs";
    PURGE_COUNT = "purge/count";
    REPLICAS_BEAT = "replicas/beat";
    REPLICAS_LEAVE = "replicas/leave";
    REPLICAS_LIVE = "replicas/live";
    KEYS_COUNT = "keys/count";
    CONDITION_READ = "condition/read";
    AUTHORITY_READ = "authority/read";
    AUTHORITY_FENCE_LOCK = "authority/fence_lock";
    AUTHORITY_FENCE = "authority/fence";
    BENCH_SELECT = "bench/select";
    BENCH_INSERT = "bench/insert";
    BENCH_OPEN = "bench/open";
    BENCH_ROTATE = "bench/rotate";
    BENCH_REVOKE = "bench/revoke";
    BENCH_LOCK_SESSION = "bench/lock_session";
    BENCH_STEP_SESSION = "bench/step_session";
    BENCH_MARK_PARENT = "bench/mark_parent";
    BENCH_INSERT_LEDGER = "bench/insert_ledger";
    BENCH_INSERT_SESSION = "bench/insert_session";
    BENCH_INSERT_GRANT = "bench/insert_grant";
    BENCH_INSERT_ACCESS = "bench/insert_access";
    BENCH_WAL = "bench/wal";
    BENCH_CHECKPOINT = "bench/checkpoint";
    BENCH_VACUUM = "bench/vacuum";
    BENCH_RELOAD = "bench/reload";
    BENCH_FULL_PAGES_OFF = "bench/full_pages_off";
    BENCH_FULL_PAGES_ON = "bench/full_pages_on";
    BENCH_SETTINGS = "bench/settings";
    BENCH_RIGHTS = "bench/rights";
    BENCH_EMPTY = "bench/empty";
    BENCH_STEPS = "bench/steps";
    BENCH_BRIDGE = "bench/bridge";
    BENCH_COPY_USERS = "bench/copy_users";
    BENCH_COPY_BRIDGES = "bench/copy_bridges";
    BENCH_COPY_ACCOUNTS = "bench/copy_accounts";
    BENCH_COPY_SESSIONS = "bench/copy_sessions";
    BENCH_COPY_LEDGER = "bench/copy_ledger";
    BENCH_COPY_GRANTS = "bench/copy_grants";
    BENCH_COPY_TOKENS = "bench/copy_tokens";
}
