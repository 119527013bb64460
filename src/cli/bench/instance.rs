//! A server on a database of its own, preloaded.

use super::{
    BenchArgs,
    child::Serve,
    database::Database,
    envoy::Behind,
    field::{Field, Kinds, Sessions},
    home::{Home, Kept},
    preload,
    progress::Progress,
    variables,
};
use crate::{
    app,
    bench::{
        callers::Tokens,
        population::{Population, Size},
        sessions::{Families, Opened},
        wire::Wire,
        writers::Subjects,
    },
    cli::{
        bootstrap,
        dev::files,
        exit::Exit,
        failure::Failure,
        postgres::{Binaries, Cluster, ClusterOptions},
    },
    config::{Config, Flags},
    domain::{
        caller::{Credentials, Role},
        clock,
        keys::KeyRing,
        policy::ClientSettings,
        terms::{Audience, Scopes},
        tokens::ClientSecret,
    },
    keyfile, options,
    proto::v1::IssueTokenRequest,
    store::{
        DatabaseUrl, StoreError,
        bench::{Baselines, Observer, Terms},
        migrate::{self, MigrateOptions},
    },
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use http::HeaderValue;
use std::{path::Path, sync::Arc, time::Duration};

/// A role of its own, so that a server on the same PostgreSQL keeps its password.
const SERVING_ROLE: &str = "countersign_bench_server";
/// The scopes of every token.
pub(super) const SCOPES: [&str; 2] = ["read", "write"];
/// The audience of every token.
pub(super) const AUDIENCE: &str = "urn:countersign:bench";
/// How long a connection to a server on this machine may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Beyond this no kept database is of use.
const YEAR: Duration = Duration::from_hours(24 * 366);
/// What the handbook recommends where writing matters, on a small machine.
const POSTGRES: [(&str, &str); 4] = [
    ("shared_buffers", "1GB"),
    ("max_wal_size", "8GB"),
    ("checkpoint_timeout", "30min"),
    ("max_connections", "200"),
];

/// A running instance. Its fields end in their order.
pub(super) struct Instance {
    /// The server.
    pub(super) serve: Serve,
    /// What the database tells.
    pub(super) observer: Observer,
    /// Whether the whole PostgreSQL is ours to change.
    pub(super) ours: bool,
    /// The uncoalesced statements.
    pub(super) baselines: Baselines,
    /// What was preloaded.
    pub(super) population: Arc<Population>,
    /// The sessions that have taken steps before, by their numbers.
    pub(super) steps: Vec<(u64, u32)>,
    /// Who calls.
    pub(super) client: Kept,
    /// The settings of the server that matter, by their keys.
    pub(super) settings: Vec<(&'static str, u64)>,
    /// Connections of the baselines' pool.
    pub(super) baseline_connections: usize,
    /// Whether a checkpoint is made before each row.
    pub(super) checkpoints: bool,
    cluster: Option<Cluster>,
    home: Home,
}

impl Instance {
    /// Starts PostgreSQL and the server, and preloads what is not there yet.
    pub(super) async fn start(args: &BenchArgs, progress: &Progress) -> Result<Self, Failure> {
        let home = Home::open(args.home.as_deref())?;
        progress.says("starting PostgreSQL");
        let (cluster, owner) = database(args, &home).await?;
        let options = MigrateOptions {
            serving_role: SERVING_ROLE.to_owned(),
            ..MigrateOptions::default()
        };
        migrate::migrate(&owner, &options, |_| {}).await?;
        let password = files::password(&home.file("serving-password"))?;
        migrate::set_password(&owner, SERVING_ROLE, &password).await?;
        let keys = home.file("keys");
        files::make_key_file(&keys)?;
        let ring = keyfile::load_key_file(&keys);
        let ring = ring.map_err(|problem| Failure::new(Exit::BadInput, problem))?;
        let ring = Arc::new(ring);

        let url = owner.as_role(SERVING_ROLE, &password);
        let variables = variables::of(&args.set, &url, &home);
        let config = Config::load(None, variables.clone().into_iter(), Flags::default())?;
        let observer = Observer::connect(&owner).await?;
        let ours = cluster.is_some();
        let (client, steps) =
            populated(args, &home, &owner, &observer, &config, &ring, progress).await?;
        let population = Arc::new(Population::new(Arc::clone(&ring), client.size));
        let steps = steps
            .into_iter()
            .filter_map(|(id, steps)| Some((population.session_number(id)?, steps)))
            .collect();
        if ours {
            // What a run that was killed left.
            observer.full_page_writes(true).await?;
        }
        let mut own = options::store_options(&config, url, false);
        if let Some(connections) = args.pg_connections {
            own.pool.connections = connections;
        }
        // A caller of the baselines waits for its turn, and is not shed.
        own.pool.acquire_timeout = Duration::from_mins(1);
        let baselines = Baselines::open(own.pool, terms(&client, &population), own.defaults)?;
        progress.says("starting the server");
        let serve = Serve::start(&variables, &home.file("server.log")).await?;
        Ok(Self {
            serve,
            observer,
            ours,
            baselines,
            population,
            steps,
            client,
            settings: vec![
                ("database.connections", config.database.connections as u64),
                ("batch.max_calls", config.batch.max_calls as u64),
                ("batch.in_flight", config.batch.in_flight as u64),
            ],
            baseline_connections: args.pg_connections.unwrap_or(config.database.connections),
            checkpoints: !args.no_checkpoints,
            cluster,
            home,
        })
    }

    /// What the rows call: this server, and the echo at `echo`.
    pub(super) async fn field(&self, args: &BenchArgs, echo: &str) -> Result<Field, Failure> {
        let secret = ClientSecret::parse(&self.client.client_secret, self.population.ring())
            .map_err(|error| Failure::new(Exit::BadInput, error))?;
        let pair = format!("{}:{}", self.client.client_id, self.client.client_secret);
        let header = format!("Basic {}", BASE64.encode(pair));
        let header =
            HeaderValue::from_str(&header).map_err(|error| Failure::new(Exit::Refused, error))?;
        let wire = async |target: &str| {
            let wire = Wire::open(
                target,
                args.connections,
                Some(header.clone()),
                CONNECT_LIMIT,
            );
            wire.await
                .map_err(|error| Failure::unreachable(target, &error))
        };
        let of = || Arc::clone(&self.population);
        let steps = self.steps.iter().copied();
        Ok(Field {
            echo: wire(echo).await?,
            message_bytes: args.message_bytes,
            authority: wire(&self.serve.target).await?,
            tokens: Kinds {
                of_sessions: Tokens::OfSessions(of()),
                of_clients: Tokens::OfClients(of()),
                unknown: Tokens::Unknown(of()),
                forged: Tokens::forged(self.population.key_id()),
            },
            audience: Some(AUDIENCE.to_owned()),
            issue: IssueTokenRequest {
                scopes: SCOPES.map(str::to_owned).to_vec(),
                ..IssueTokenRequest::default()
            },
            sessions: Some(Sessions {
                subjects: Subjects::Of(of()),
                families: Families::derived(&self.population, args.concurrency, steps),
                opened: Opened::default(),
            }),
            database: Some(Database {
                baselines: self.baselines.clone(),
                population: of(),
                credentials: Credentials {
                    client_id: self.client.client_id,
                    secret: Some(secret.digest()),
                    identity: None,
                },
                scopes: Scopes::trusted(SCOPES.map(str::to_owned).to_vec()),
            }),
            concurrency: args.concurrency,
        })
    }

    /// What stands behind an Envoy.
    pub(super) fn behind<'a>(
        &'a self,
        args: &BenchArgs,
        binary: &'a Path,
        echo: &'a str,
    ) -> Behind<'a> {
        let id = self.client.client_id.to_string();
        let token = self.population.session_token(0).plaintext();
        Behind {
            binary,
            echo,
            server: &self.serve.target,
            client: (id, self.client.client_secret.clone()),
            token: token.reveal().to_owned(),
            callers: args.concurrency,
            message_bytes: args.message_bytes,
            time: args.plan().time,
            rounds: args.rounds,
        }
    }

    /// The process of the private PostgreSQL.
    pub(super) fn postgres_pid(&self) -> Option<u32> {
        u32::try_from(self.cluster.as_ref()?.pid()?).ok()
    }

    /// Ends everything that was started.
    pub(super) async fn stop(self) -> Result<(), Failure> {
        self.serve.stop().await;
        drop((self.observer, self.baselines));
        if let Some(cluster) = self.cluster {
            cluster.stop().await?;
        }
        drop(self.home);
        Ok(())
    }
}

async fn database(
    args: &BenchArgs,
    home: &Home,
) -> Result<(Option<Cluster>, DatabaseUrl), Failure> {
    let parse = |url: &str| {
        DatabaseUrl::parse(url)
            .map_err(|error| Failure::new(Exit::BadInput, format!("--database-url {error}")))
    };
    if let Some(url) = &args.database_url {
        return Ok((None, parse(url)?));
    }
    let place = home.postgres()?;
    let binaries = Binaries::for_home(&place, args.postgres).await?;
    let mut options = ClusterOptions::new(&place);
    for (name, value) in POSTGRES {
        options = options.setting(name, value);
    }
    for pair in &args.postgres_setting {
        options = options.setting(&pair.0, &pair.1);
    }
    let cluster = Cluster::start(&binaries, options).await?;
    let url = parse(&cluster.superuser_url())?;
    Ok((Some(cluster), url))
}

type Steps = Vec<(uuid::Uuid, u32)>;

/// What a kept home holds, or what is preloaded now.
async fn populated(
    args: &BenchArgs,
    home: &Home,
    owner: &DatabaseUrl,
    observer: &Observer,
    config: &Config,
    ring: &Arc<KeyRing>,
    progress: &Progress,
) -> Result<(Kept, Steps), Failure> {
    if let Some(kept) = home.kept()? {
        // What these flags would preload, which may be more than they say.
        let (wanted, found) = (size(args), kept.size);
        for (flag, given, wanted, found) in [
            ("--rows", args.rows, wanted.tokens, found.tokens),
            ("--sessions", args.sessions, wanted.sessions, found.sessions),
        ] {
            if given.is_some() && wanted != found {
                let message = format!("--home was preloaded with {flag} {found}");
                return Err(Failure::new(Exit::BadInput, message));
            }
        }
        return Ok((kept, observer.steps().await?));
    }
    if !observer.is_empty().await? {
        return Err(Failure::new(
            Exit::BadInput,
            "the database holds something already; give an empty one",
        ));
    }
    let created = app::authority(config, Arc::clone(ring), 0)?
        .bootstrap_client(None, client())
        .await
        .map_err(bootstrap::failure)?;
    let kept = Kept {
        client_id: created.entry.client.client_id,
        client_secret: created.secret.reveal().to_owned(),
        size: size(args),
    };
    let population = Arc::new(Population::new(Arc::clone(ring), kept.size));
    let unchecked = observer.is_superuser().await?;
    let terms = terms(&kept, &population);
    preload::run(owner, &terms, &population, unchecked, progress).await?;
    progress.says("vacuuming");
    observer.vacuum().await?;
    home.keep(&kept)?;
    Ok((kept, Vec::new()))
}

/// How much there is to be: by default a few thousand of everything.
fn size(args: &BenchArgs) -> Size {
    let tokens = args.rows.unwrap_or_default().max(FEW);
    let callers = args.concurrency as u64;
    let sessions = args.sessions.unwrap_or(tokens / 10).max(FEW).max(callers);
    // Two hours ago, since the rows' births are spread over two hours.
    let born = clock::now().timestamp() - 7300;
    Size {
        seed: u64::from_ne_bytes(clock::random()),
        born: u32::try_from(born).unwrap_or(u32::MAX),
        tokens,
        sessions,
        users: (sessions / 10).clamp(1, 100_000),
    }
}

/// The least of tokens and of sessions.
const FEW: u64 = 4_096;

fn client() -> ClientSettings {
    let audience = Audience::trusted(vec![AUDIENCE.to_owned()]);
    ClientSettings {
        name: "bench".to_owned(),
        roles: vec![Role::Issuer, Role::Introspector, Role::Revoker],
        scopes: Scopes::trusted(SCOPES.map(str::to_owned).to_vec()),
        default_audience: audience.clone(),
        audience,
        session_ttl: Some(YEAR),
        idle_timeout: Some(YEAR),
        ..ClientSettings::default()
    }
}

fn terms(client: &Kept, population: &Population) -> Terms {
    Terms {
        client_id: client.client_id,
        key_id: population.key_id(),
        scopes: SCOPES.map(str::to_owned).to_vec(),
        audience: vec![AUDIENCE.to_owned()],
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(Exit::Refused, error.causes())
    }
}
