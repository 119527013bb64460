//! Where a URL says that the database is: hosts, their names' addresses, and the driver's terms
//! for each.

use super::{ConnectError, HostPort, PATIENCE};
use std::{io, net::IpAddr, path::PathBuf, time::Duration};
use tokio_postgres::{
    Config,
    config::{Host as Named, LoadBalanceHosts},
};

/// One host of a URL.
pub(super) struct Host {
    place: HostPort,
    known: Known,
}

/// What is known of a host.
enum Known {
    /// The directory of its Unix socket.
    Directory(PathBuf),
    /// Its address.
    Address(IpAddr),
    /// Nothing but its name.
    Name,
}

/// One address of one host.
pub(super) struct Target {
    pub(super) config: Config,
    pub(super) place: HostPort,
    pub(super) unix: bool,
}

/// The system's way from a name to addresses.
pub(super) async fn resolve(host: String, port: u16) -> io::Result<Vec<IpAddr>> {
    let found = tokio::net::lookup_host((host, port)).await?;
    Ok(found.map(|address| address.ip()).collect())
}

/// Every host, in the order of the URL or shuffled (`load_balance_hosts`).
pub(super) fn of(base: &Config) -> Vec<Host> {
    let (hosts, addresses) = (base.get_hosts(), base.get_hostaddrs());
    let mut found = Vec::new();
    for at in 0..hosts.len().max(addresses.len()) {
        let ports = base.get_ports();
        let port = ports.get(at).or(ports.first()).copied().unwrap_or(5432);
        let (host, known) = match (hosts.get(at), addresses.get(at)) {
            (Some(Named::Unix(directory)), _) => (
                directory.display().to_string(),
                Known::Directory(directory.clone()),
            ),
            (Some(Named::Tcp(host)), Some(address)) => (host.clone(), Known::Address(*address)),
            (Some(Named::Tcp(host)), None) => (host.clone(), Known::Name),
            (None, Some(address)) => (address.to_string(), Known::Address(*address)),
            (None, None) => continue,
        };
        let place = HostPort { host, port };
        found.push(Host { place, known });
    }
    shuffle(base, &mut found);
    found
}

impl Host {
    /// Each of its addresses. A name may take as long as an address.
    pub(super) async fn targets<F>(
        self,
        base: &Config,
        resolve: impl Fn(String, u16) -> F,
    ) -> Result<Vec<Target>, ConnectError>
    where
        F: Future<Output = io::Result<Vec<IpAddr>>>,
    {
        let Self { place, known } = self;
        let addresses = match known {
            Known::Directory(directory) => {
                let mut config = alone(base, place.port);
                config.host_path(directory);
                let unix = true;
                return Ok(vec![Target {
                    config,
                    place,
                    unix,
                }]);
            }
            Known::Address(address) => vec![address],
            Known::Name => {
                let resolving = resolve(place.host.clone(), place.port);
                let found = tokio::time::timeout(limit(base), resolving).await;
                found
                    .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
                    .map_err(|source| ConnectError::Unresolved {
                        host: place.host.clone(),
                        source,
                    })?
            }
        };
        let targets = addresses.into_iter().map(|address| {
            let mut config = alone(base, place.port);
            config.host(&place.host).hostaddr(address);
            Target {
                config,
                place: place.clone(),
                unix: false,
            }
        });
        let mut targets: Vec<_> = targets.collect();
        shuffle(base, &mut targets);
        Ok(targets)
    }
}

fn shuffle<T>(base: &Config, several: &mut [T]) {
    if base.get_load_balance_hosts() == LoadBalanceHosts::Random {
        fastrand::shuffle(several);
    }
}

/// How long one address may take.
pub(super) fn limit(config: &Config) -> Duration {
    config.get_connect_timeout().copied().unwrap_or(PATIENCE)
}

/// The same terms without any host: the driver can only add to them.
fn alone(base: &Config, port: u16) -> Config {
    let mut config = Config::new();
    config
        .port(port)
        .keepalives(base.get_keepalives())
        .keepalives_idle(base.get_keepalives_idle())
        .target_session_attrs(base.get_target_session_attrs())
        .channel_binding(base.get_channel_binding())
        .ssl_negotiation(base.get_ssl_negotiation());
    base.get_user().map(|user| config.user(user));
    base.get_password()
        .map(|password| config.password(password));
    base.get_dbname().map(|name| config.dbname(name));
    base.get_options().map(|options| config.options(options));
    base.get_application_name()
        .map(|name| config.application_name(name));
    base.get_keepalives_interval()
        .map(|interval| config.keepalives_interval(interval));
    base.get_keepalives_retries()
        .map(|retries| config.keepalives_retries(retries));
    base.get_tcp_user_timeout()
        .map(|timeout| config.tcp_user_timeout(*timeout));
    config.connect_timeout(limit(base));
    config
}
