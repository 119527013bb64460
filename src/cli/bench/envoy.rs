//! A real Envoy between callers and the echo: what a check adds to a request.

use super::{engine::interrupted, instance::AUDIENCE};
use crate::{
    bench::{Callers, Crew as _, Load, Stop, Tally, callers::Echoes, report::Through, wire::Wire},
    cli::{exit::Exit, failure::Failure},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::HeaderValue;
use serde_json::{Value, json};
use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

/// How long a start may take.
const START_LIMIT: Duration = Duration::from_secs(30);

/// What stands behind the three.
pub(super) struct Behind<'a> {
    /// Envoy's binary.
    pub(super) binary: &'a Path,
    /// The application, which also answers every check with a yes.
    pub(super) echo: &'a str,
    /// The server.
    pub(super) server: &'a str,
    /// Client id and secret of who checks.
    pub(super) client: (String, String),
    /// A live token.
    pub(super) token: String,
    /// Callers, bytes of a message, and the time of one row in one round.
    pub(super) callers: usize,
    pub(super) message_bytes: usize,
    pub(super) time: Duration,
    pub(super) rounds: u32,
}

/// Envoy without a check, with one that always says yes, and with ours: latencies at half of
/// what the last can do, in rounds.
pub(super) async fn through(behind: &Behind<'_>, stop: &Stop) -> Result<Vec<Through>, Failure> {
    let place = std::env::temp_dir().join(format!("countersign-bench-{}", std::process::id()));
    fs::create_dir_all(&place).map_err(|error| failed("make a directory", &error))?;
    let done = in_place(behind, stop, &place).await;
    // What is left there is three configurations.
    let _ = fs::remove_dir_all(&place);
    done
}

async fn in_place(behind: &Behind<'_>, stop: &Stop, place: &Path) -> Result<Vec<Through>, Failure> {
    let kinds = [
        ("envoy", None),
        ("envoy-nothing", Some(behind.echo)),
        ("envoy-check", Some(behind.server)),
    ];
    let mut envoys = Vec::new();
    for (name, check) in kinds {
        envoys.push(Envoy::start(behind, place, name, check).await?);
    }
    let mut crews = Vec::new();
    for envoy in &envoys {
        let bearer = format!("Bearer {}", behind.token);
        let bearer = HeaderValue::try_from(bearer).ok();
        let wire = Wire::open(&envoy.target, 2, bearer, START_LIMIT).await;
        let wire = wire.map_err(|error| Failure::new(Exit::Refused, error))?;
        let one = |caller| Echoes::new(&wire, caller, behind.message_bytes);
        crews.push(Callers((0..behind.callers).map(one).collect()));
    }
    let fastest: Tally = crews[2].run(Load::Closed(behind.time), stop).await;
    let rate = (fastest.per_second() / 2.0).max(1.0);
    let mut tallies: Vec<Tally> = Vec::new();
    for round in 0..behind.rounds {
        for (at, crew) in crews.iter_mut().enumerate() {
            let time = behind.time;
            let tally = crew.run(Load::Open { rate, time }, stop).await;
            if stop.asked() {
                return Err(interrupted());
            }
            if round == 0 {
                tallies.push(tally);
            } else {
                tallies[at].add(&tally);
            }
        }
    }
    let names = kinds.into_iter().map(|(name, _)| name);
    Ok(names
        .zip(tallies)
        .map(|(name, tally)| Through { name, rate, tally })
        .collect())
}

/// A running Envoy; it ends with this.
struct Envoy {
    _child: Child,
    target: String,
}

impl Envoy {
    async fn start(
        behind: &Behind<'_>,
        place: &Path,
        name: &str,
        check: Option<&str>,
    ) -> Result<Self, Failure> {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
        let listen = free.map_err(|error| failed("find a port", &error))?;
        let file = place.join(format!("{name}.json"));
        fs::write(&file, configuration(behind, listen, check).to_string())
            .map_err(|error| failed("write Envoy's configuration", &error))?;
        let log = fs::File::create(place.join(format!("{name}.log")))
            .map_err(|error| failed("write Envoy's log", &error))?;
        let mut child = Command::new(behind.binary)
            .arg("-c")
            .arg(&file)
            .args([
                "--concurrency",
                "1",
                "--use-dynamic-base-id",
                "--log-level",
                "error",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed("start Envoy", &error))?;
        let started = Instant::now();
        while TcpStream::connect(listen).await.is_err() {
            let ended = child.try_wait().ok().flatten();
            if ended.is_some() || started.elapsed() > START_LIMIT {
                let log = fs::read_to_string(place.join(format!("{name}.log")));
                let why = log.unwrap_or_default();
                let why = why.lines().last().unwrap_or("it says nothing").to_owned();
                return Err(Failure::new(
                    Exit::Refused,
                    format!("Envoy does not start: {why}"),
                ));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(Self {
            _child: child,
            target: format!("http://{listen}"),
        })
    }
}

/// Envoy before the echo, with a check by that server.
fn configuration(behind: &Behind<'_>, listen: SocketAddr, check: Option<&str>) -> Value {
    let socket = |address: &str| {
        let address = address.trim_start_matches("http://");
        let (host, port) = address.rsplit_once(':').unwrap_or((address, "0"));
        let port: u16 = port.parse().unwrap_or_default();
        json!({ "socket_address": { "address": host, "port_value": port } })
    };
    let cluster = |name: &str, target: &str| {
        json!({
            "name": name,
            "type": "STATIC",
            "connect_timeout": "1s",
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": { "http2_protocol_options": {} },
                },
            },
            "circuit_breakers": { "thresholds": [{ "max_requests": 100_000, "max_pending_requests": 100_000 }] },
            "load_assignment": {
                "cluster_name": name,
                "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": socket(target) } }] }],
            },
        })
    };
    let mut filters = Vec::new();
    let mut clusters = vec![cluster("application", behind.echo)];
    if let Some(check) = check {
        clusters.push(cluster("check", check));
        let (id, secret) = &behind.client;
        let basic = STANDARD.encode(format!("{id}:{secret}"));
        filters.push(json!({
            "name": "envoy.filters.http.ext_authz",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
                "transport_api_version": "V3",
                "encode_raw_headers": true,
                "grpc_service": {
                    "envoy_grpc": { "cluster_name": "check" },
                    "timeout": "10s",
                    "initial_metadata": [{ "key": "authorization", "value": format!("Basic {basic}") }],
                },
            },
        }));
    }
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
    }));
    let per_route = json!({
        "envoy.filters.http.ext_authz": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
            "check_settings": { "context_extensions": { "audience": AUDIENCE } },
        },
    });
    let mut host = json!({
        "name": "application",
        "domains": ["*"],
        "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "application" } }],
    });
    if check.is_some() {
        host["typed_per_filter_config"] = per_route;
    }
    json!({
        "static_resources": {
            "listeners": [{
                "name": "ingress",
                "address": socket(&listen.to_string()),
                "filter_chains": [{ "filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                        "stat_prefix": "ingress",
                        "codec_type": "HTTP2",
                        "route_config": { "name": "routes", "virtual_hosts": [host] },
                        "http_filters": filters,
                    },
                }] }],
            }],
            "clusters": clusters,
        },
    })
}

fn failed(what: &str, error: &io::Error) -> Failure {
    Failure::new(Exit::Refused, format!("cannot {what}: {error}"))
}
