//! The table of settings: the one source of the file, the environment variables,
//! the flags, `--print-config`, the example file and the handbook.
//!
//! A new setting is one row: its documentation, its field and type, what it accepts,
//! and what holds where nobody sets it.

use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use super::{
    AuditOutput, ClientCertificates, LogFormat, LogLevel, Nonces, PreparedStatements, ReplayMemory,
    Secret, TlsVersion,
    define::settings,
    setting::{
        Kind::{
            Bool, Bytes, Duration as Time, Integer, Path, Ratio, Secret as Hidden, Socket, Text,
        },
        Kind::{List, Words, WordsOrPath},
        Need::{Default, Optional, Required, RequiredUnless},
        Setting,
    },
    value::{Field, Value, Values},
};
use crate::domain::limits::ClientLimits;

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

const fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

const RATE: u64 = 10_000_000;
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

// The bounds that hold for a client's own settings too.
const ACCESS_TOKEN_TTL: RangeInclusive<Duration> = secs(1)..=secs(24 * HOUR);
const SESSION_TTL: RangeInclusive<Duration> = secs(MINUTE)..=secs(366 * DAY);
const IDLE_TIMEOUT: RangeInclusive<Duration> = secs(MINUTE)..=secs(366 * DAY);
const ROTATION_GRACE: RangeInclusive<Duration> = secs(0)..=secs(2 * MINUTE);
const SESSIONS_PER_USER: (u32, u32) = (1, 10_000);

/// What an administrator may choose for one client.
pub fn limits() -> ClientLimits {
    ClientLimits {
        access_token_ttl: ACCESS_TOKEN_TTL,
        session_ttl: SESSION_TTL,
        idle_timeout: IDLE_TIMEOUT,
        rotation_grace: ROTATION_GRACE,
        sessions_per_user: SESSIONS_PER_USER.0..=SESSIONS_PER_USER.1,
    }
}

settings! {
    top {
        /// The address and port of the gRPC server.
        listen: SocketAddr = Socket, Default("127.0.0.1:7300");
        /// The name of this authority, which introspection returns.
        issuer: String = Text(1..=255), Default("countersign");
    }

    section database: Database = "The PostgreSQL that remembers." {
        /// Where the database is and who asks: a postgres:// URL or key=value pairs.
        url: Secret = Hidden,
            RequiredUnless("database.url_file", "postgres://countersign@localhost/countersign");
        /// A file that holds the database's URL, instead of `database.url`: exactly one of the two.
        url_file: Option<PathBuf> = Path, Optional("/etc/countersign/database-url");
        /// The authorities that sign the database's certificate (PEM), or `system`. Where the URL has
        /// no `sslmode`, this means verify-full. It and the next three are read for every connection.
        ca_file: Option<PathBuf> = Path, Optional("/etc/countersign/database/ca.crt");
        /// A client certificate for the database (PEM).
        certificate_file: Option<PathBuf> = Path, Optional("/etc/countersign/database/tls.crt");
        /// The key of that certificate (PEM).
        key_file: Option<PathBuf> = Path, Optional("/etc/countersign/database/tls.key");
        /// The password of the role, over that of the URL.
        password_file: Option<PathBuf> = Path, Optional("/etc/countersign/database/password");
        /// The most connections that this process holds.
        connections: usize = Integer(1..=200), Default("8");
        /// How long opening one connection may take, for each address, where the URL does not say.
        connect_timeout: Duration = Time(ms(100)..=secs(MINUTE)), Default("5s");
        /// How long the database may be silent while work waits for it. Then calls are refused without
        /// asking it, until it answers again.
        probe_timeout: Duration = Time(ms(100)..=secs(MINUTE)), Default("1s");
        /// How long a call waits for a free connection.
        acquire_timeout: Duration = Time(ms(10)..=secs(MINUTE)), Default("2s");
        /// How long the database works on one statement before it gives up.
        statement_timeout: Duration = Time(ms(100)..=secs(10 * MINUTE)), Default("5s");
        /// How long one statement waits for a lock before it gives up.
        lock_timeout: Duration = Time(ms(10)..=secs(MINUTE)), Default("2s");
        /// named, or unnamed behind PgBouncer in transaction mode: statements are parsed each time, and
        /// the timeouts of statements are those of the serving role.
        prepared_statements: PreparedStatements = Words(PreparedStatements::WORDS), Default("named");
        /// Serve although `synchronous_commit` is off or local.
        /// What was acknowledged, a revocation too, can then be lost.
        allow_asynchronous_commit: bool = Bool, Default("false");
    }

    section keys: Keys = "The keys under which tokens are made." {
        /// The file of the key ring; read again when it changes, and at SIGHUP.
        file: PathBuf = Path, Required("/etc/countersign/keys");
    }

    section tls: Tls = "TLS of the gRPC server, with certificates from files or from the SPIFFE Workload API." {
        /// An address and port of its own for TLS; then `listen` is plain. Without it TLS is at `listen`.
        listen: Option<SocketAddr> = Socket, Optional("0.0.0.0:7443");
        /// The server's certificate and what leads to its authority (PEM). It, the key and
        /// `tls.client_ca_file` are read again when they change.
        certificate_file: Option<PathBuf> = Path, Optional("/etc/countersign/tls/tls.crt");
        /// The key of that certificate (PEM).
        key_file: Option<PathBuf> = Path, Optional("/etc/countersign/tls/tls.key");
        /// The authorities that sign callers' certificates (PEM).
        client_ca_file: Option<PathBuf> = Path, Optional("/etc/countersign/tls/ca.crt");
        /// The SPIFFE Workload API that gives certificate, key and authorities, instead of files.
        /// Its trust domain is then the only one whose SPIFFE IDs count.
        workload_api: Option<String> = Text(1..=255), Optional("unix:///run/spire/agent/api.sock");
        /// The only trust domain whose SPIFFE IDs count in certificates; without it, any that the
        /// authorities sign. An ID that a trusted proxy forwards counts where a client lists it.
        trust_domain: Option<String> = Text(1..=255), Optional("example.org");
        /// Whether callers send certificates: off, optional (one that is sent must hold), required.
        client_certificates: ClientCertificates = Words(ClientCertificates::WORDS), Default("off");
        /// The lowest version of TLS.
        min_version: TlsVersion = Words(TlsVersion::WORDS), Default("1.3");
    }

    section forwarded: Forwarded = "Proxies that verify callers and say whom in x-forwarded-client-cert." {
        /// Where proxies connect whose word counts without a certificate: a loopback address and
        /// port, or unix: and a path. Whoever can connect there can be any caller with an identity.
        listen: Option<String> = Text(1..=255), Optional("unix:/run/countersign/forwarded.sock");
        /// The proxies whose word counts on the gRPC port, as their own certificates name them:
        /// SPIFFE IDs, or dns: and a name. They never call for themselves.
        peers: Vec<String> = List(0..=64), Default("");
    }

    section limits: Limits = "Calls a second, of which a second's worth may come at once; 0: any number." {
        /// `IssueToken` and `RotateRefresh` of one client, in this process. Here and below each
        /// secret of a client counts by itself, and all its certificates together: a retired secret
        /// uses up nothing of the others.
        issue: u32 = Integer(0..=RATE), Default("0");
        /// `Introspect`, `BatchIntrospect`, `ListSessions` and Envoy's Check of one client.
        introspect: u32 = Integer(0..=RATE), Default("0");
        /// `RevokeSession` and `RevokeToken` of one client.
        revoke: u32 = Integer(0..=RATE), Default("0");
        /// The directory and reflection, for one client.
        directory: u32 = Integer(0..=RATE), Default("0");
        /// All calls of all clients together.
        server: u32 = Integer(0..=RATE), Default("0");
        /// Calls with bad credentials from one address (of IPv6, one /64). Beyond, they are
        /// refused without a word in the audit stream; calls with a secret of ours still pass.
        failed_authentications: u32 = Integer(0..=RATE), Default("1000");
    }

    section tokens: Tokens = "Access tokens." {
        /// The longest lifetime of an access token, and the one when a request asks for none, where
        /// its client sets no other.
        access_token_ttl: Duration = Time(ACCESS_TOKEN_TTL), Default("10m");
    }

    section sessions: Sessions = "Sessions, where their client sets nothing else." {
        /// The lifetime of a session, from its opening.
        ttl: Duration = Time(SESSION_TTL), Default("30d");
        /// A session without a rotation for this long is over; not above `sessions.ttl`.
        idle_timeout: Duration = Time(IDLE_TIMEOUT), Default("7d");
        /// How many live sessions one user may have with one client, where the client sets nothing
        /// else; 0: any number.
        per_user: u32 = Integer(0..=SESSIONS_PER_USER.1 as u64), Default("0");
    }

    section rotation: Rotation = "The rotation of refresh tokens." {
        /// How long a superseded refresh token may be repeated, where its client sets nothing else.
        /// Zero makes every repeat a reuse; above zero it is at least three times `rotation.deadline`.
        grace: Duration = Time(ROTATION_GRACE), Default("30s");
        /// The server's own deadline for `RotateRefresh`.
        deadline: Duration = Time(ms(100)..=secs(40)), Default("3s");
    }

    section calls: Calls = "Every call." {
        /// The server's own deadline for every call but `RotateRefresh` and Envoy's Check; streams
        /// have none.
        deadline: Duration = Time(ms(100)..=secs(5 * MINUTE)), Default("10s");
        /// The largest message that the server reads.
        max_message_bytes: usize = Bytes(64 * KIB..=64 * MIB), Default("4MiB");
        /// How many calls one connection may have open at once.
        max_concurrent_streams: u32 = Integer(1..=100_000), Default("1024");
    }

    section connections: Connections = "The connections of callers." {
        /// How long a connection is used before its caller is told to open another, more or less by a
        /// tenth, so that new replicas get their share. What runs on it is finished.
        max_age: Duration = Time(secs(1)..=secs(DAY)), Default("30m");
        /// How long a connection is silent before it is asked whether anybody is there.
        keepalive_interval: Duration = Time(secs(1)..=secs(HOUR)), Default("30s");
        /// How long it may then be silent before it is closed.
        keepalive_timeout: Duration = Time(secs(1)..=secs(5 * MINUTE)), Default("20s");
        /// The most metadata that one call may carry.
        max_metadata_bytes: u32 = Bytes(8 * KIB..=MIB), Default("128KiB");
    }

    section batch: Batch = "Calls of one kind that go to the database together." {
        /// The most calls in one batch.
        max_calls: usize = Integer(1..=1_000), Default("128");
        /// How many calls of one kind may wait; those beyond are refused at once.
        max_waiting: usize = Integer(1..=1_000_000), Default("10000");
        /// How long a call may wait for its batch; then it is refused before the database.
        max_wait: Duration = Time(ms(1)..=secs(MINUTE)), Default("2s");
        /// How many batches of one kind may be in the database at once; where it is more than one,
        /// client-only tokens may have one more, whose batches mostly wait for the log.
        in_flight: usize = Integer(1..=64), Default("2");
    }

    section purge: Purge = "The removal of what expired, in the background." {
        /// Purge at all; without it `countersign purge` has to be run by hand.
        enabled: bool = Bool, Default("true");
        /// The pause between two passes, more or less by a fifth, so that replicas differ.
        pause: Duration = Time(ms(10)..=secs(DAY)), Default("15s");
        /// The time one pass may take; what is left waits for the next.
        budget: Duration = Time(ms(10)..=secs(10 * MINUTE)), Default("5s");
        /// The most access tokens, or sessions, that one transaction removes.
        batch: usize = Integer(1..=1_000), Default("250");
    }

    section dpop: Dpop = "Proofs of possession, RFC 9449." {
        /// Under which origins callers know this authority, like `https://tokens.example.org`: a proof
        /// names one of them and the path of its call. None: a call with a proof is refused. Port 0
        /// stands for the port that `listen` got.
        origins: Vec<String> = List(0..=16), Default("");
        /// The signature algorithms that are taken.
        algorithms: Vec<String> = List(1..=5), Default("ES256,ES384,EdDSA,PS256,RS256");
        /// How old a proof may be.
        lifetime: Duration = Time(secs(1)..=secs(HOUR)), Default("1m");
        /// How far the clock of who made it may be off, either way.
        clock_skew: Duration = Time(secs(0)..=secs(5 * MINUTE)), Default("30s");
        /// Whether proofs carry nonces of this authority; a client's own setting may demand them
        /// where they are off.
        nonces: Nonces = Words(Nonces::WORDS), Default("off");
        /// How long a nonce is good for at least; at most it is twice as long.
        nonce_lifetime: Duration = Time(secs(1)..=secs(HOUR)), Default("5m");
        /// Where the proofs are remembered that Introspect and Check verified, so that each is taken
        /// once.
        replay: ReplayMemory = Words(ReplayMemory::WORDS), Default("memory");
        /// How many of them one replica remembers; those beyond are refused.
        replay_entries: usize = Integer(1..=10_000_000), Default("500000");
    }

    section sidecar: Sidecar = "Envoy's external authorization: what a route demands that says nothing else." {
        /// The audience that tokens must be for. Where neither this nor the route names one, every
        /// request is turned away.
        audience: Option<String> = Text(1..=512), Optional("https://orders.example.org");
        /// Scopes that a token must have, all of them.
        scopes: Vec<String> = List(0..=64), Default("");
        /// Scopes of which a token must have one; none: no matter.
        any_scope: Vec<String> = List(0..=64), Default("");
        /// A user must stand behind a token.
        subject_required: bool = Bool, Default("false");
        /// A token must be bound to a key.
        dpop_required: bool = Bool, Default("false");
        /// A request without a token is let through as nobody's.
        anonymous_allowed: bool = Bool, Default("false");
        /// The workloads that may send requests, as Envoy names them (`source.principal`); none: any.
        principals: Vec<String> = List(0..=64), Default("");
        /// The public origin of an audience, `audience=origin`, under which DPoP proofs are made. An
        /// audience that is an origin needs no entry.
        origins: Vec<String> = List(0..=256), Default("");
        /// The application sees `authorization` and `dpop`, too.
        keep_token: bool = Bool, Default("false");
        /// How long a check may take, waiting included; Envoy waits 200 ms unless told otherwise.
        deadline: Duration = Time(ms(1)..=secs(10)), Default("100ms");
        /// The header that tells the application the user.
        subject_header: String = Text(1..=64), Default("x-countersign-subject");
        /// The header that tells it the client.
        client_id_header: String = Text(1..=64), Default("x-countersign-client-id");
        /// The header that tells it the scopes, by spaces.
        scopes_header: String = Text(1..=64), Default("x-countersign-scopes");
        /// The header that tells it the session.
        session_id_header: String = Text(1..=64), Default("x-countersign-session-id");
        /// The header that tells it the token's public id.
        token_id_header: String = Text(1..=64), Default("x-countersign-token-id");
        /// The header that tells it the token's end, in seconds since 1970.
        expires_at_header: String = Text(1..=64), Default("x-countersign-expires-at");
    }

    section shutdown: Shutdown = "The end of the process." {
        /// How long calls are still taken after SIGTERM, when the server is not ready any more: until
        /// every load balancer knows.
        pause: Duration = Time(secs(0)..=secs(5 * MINUTE)), Default("5s");
        /// How long calls may go on after that; what runs then is cut off.
        drain: Duration = Time(secs(0)..=secs(10 * MINUTE)), Default("30s");
    }

    section log: Log = "The log." {
        /// The least severe line that is logged; read again from the file at SIGHUP and when the file
        /// changes.
        level: LogLevel = Words(LogLevel::WORDS), Default("info");
        /// How a line is written.
        format: LogFormat = Words(LogFormat::WORDS), Default("text");
    }

    section health: Health = "Health on a port of its own, for kubelets." {
        /// Serve `grpc.health.v1` here too, in plain HTTP/2, whatever `listen` demands of its callers.
        listen: Option<SocketAddr> = Socket, Optional("0.0.0.0:7301");
    }

    section metrics: Metrics = "Metrics for Prometheus." {
        /// Serve `/metrics` here, in plain HTTP; docs/metrics.md has the list.
        listen: Option<SocketAddr> = Socket, Optional("0.0.0.0:9464");
    }

    section telemetry: Telemetry = "Traces and metrics by OTLP, to an OpenTelemetry collector." {
        /// The collector's gRPC endpoint, `http://` or `https://`; without it nothing is traced.
        endpoint: Option<String> = Text(1..=2048), Optional("http://localhost:4317");
        /// The share of calls that are traced.
        sampling: f64 = Ratio, Default("0.1");
        /// Where a caller's `traceparent` says whether the trace is sampled, do as it says.
        follow_callers: bool = Bool, Default("true");
        /// How often metrics are sent.
        interval: Duration = Time(secs(1)..=secs(HOUR)), Default("1m");
        /// How long the collector may take to answer; what it does not take is dropped and counted.
        timeout: Duration = Time(ms(100)..=secs(MINUTE)), Default("10s");
        /// How many spans may wait to be sent; those beyond are dropped and counted.
        buffer: usize = Integer(1..=1_000_000), Default("4096");
    }

    section audit: Audit = "The audit stream, which cannot be switched off." {
        /// Where its records go; a file is appended to.
        output: AuditOutput = WordsOrPath(AuditOutput::WORDS), Default("stderr");
        /// How many records may wait to be written; those beyond are dropped and counted.
        buffer: usize = Integer(1..=1_000_000), Default("10000");
    }
}
