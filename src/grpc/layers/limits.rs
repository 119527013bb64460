//! How often one caller, one address, and all together may call.
//!
//! What is over a limit is refused before anything is asked of the database.

use crate::domain::{caller::Credentials, refusal::Refusal, tokens::SecretDigest};
use crate::grpc::methods::Class;
use governor::{
    NotUntil, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock, QuantaInstant},
};
use std::{
    hash::Hash,
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};
use uuid::Uuid;

/// Keys of one limiter at most, before those that are at rest are forgotten; and how many
/// checks go by before that is looked at again.
const MOST_KEYS: usize = 100_000;
const LOOK_EVERY: u32 = 4_096;

/// Certificates whose client is looked up, for each that may turn out to be nobody's: a fleet
/// behind one address comes back at once.
const LOOKUPS: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// Calls a second; `None`: any number.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rates {
    /// `IssueToken` and `RotateRefresh`, of one caller.
    pub issue: Option<NonZeroU32>,
    /// `Introspect`, `BatchIntrospect`, `ListSessions` and Envoy's Check, of one caller.
    pub introspect: Option<NonZeroU32>,
    /// `RevokeSession` and `RevokeToken`, of one caller.
    pub revoke: Option<NonZeroU32>,
    /// The directory, and reflection, of one caller.
    pub directory: Option<NonZeroU32>,
    /// All calls of all callers.
    pub server: Option<NonZeroU32>,
    /// Failed authentications from one address.
    pub failed_authentications: Option<NonZeroU32>,
}

/// A client by one of its secrets, or by its identities: whoever has a secret that was retired
/// uses up nothing of those that are left.
type CallerKey = (Uuid, Option<SecretDigest>);

/// The limits of one server.
#[derive(Debug)]
pub(in crate::grpc) struct Limits {
    issue: Option<Keyed<CallerKey>>,
    introspect: Option<Keyed<CallerKey>>,
    revoke: Option<Keyed<CallerKey>>,
    directory: Option<Keyed<CallerKey>>,
    server: Option<governor::DefaultDirectRateLimiter>,
    failures: Option<Keyed<IpAddr>>,
    lookups: Option<Keyed<IpAddr>>,
}

#[derive(Debug)]
struct Keyed<K: Hash + Eq + Clone> {
    limiter: governor::DefaultKeyedRateLimiter<K>,
    checks: AtomicU32,
}

impl<K: Hash + Eq + Clone> Keyed<K> {
    /// A second's worth may come at once.
    fn new(rate: NonZeroU32) -> Self {
        Self {
            limiter: RateLimiter::keyed(Quota::per_second(rate)),
            checks: AtomicU32::new(0),
        }
    }

    fn check(&self, key: &K) -> Result<(), NotUntil<QuantaInstant>> {
        let checks = self.checks.fetch_add(1, Relaxed);
        if checks.is_multiple_of(LOOK_EVERY) && self.limiter.len() > MOST_KEYS {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(key)
    }
}

impl Limits {
    pub(in crate::grpc) fn new(rates: &Rates) -> Self {
        Self {
            issue: rates.issue.map(Keyed::new),
            introspect: rates.introspect.map(Keyed::new),
            revoke: rates.revoke.map(Keyed::new),
            directory: rates.directory.map(Keyed::new),
            server: rates
                .server
                .map(|rate| RateLimiter::direct(Quota::per_second(rate))),
            failures: rates.failed_authentications.map(Keyed::new),
            lookups: rates
                .failed_authentications
                .map(|rate| Keyed::new(rate.saturating_mul(LOOKUPS))),
        }
    }

    /// Takes one call of all callers together.
    pub(super) fn call(&self) -> Result<(), Refusal> {
        let Some(limiter) = &self.server else {
            return Ok(());
        };
        limiter
            .check()
            .map_err(|until| refusal("of all callers together", &until))
    }

    /// Takes one call of a caller.
    pub(super) fn caller(&self, caller: &Credentials, class: Class) -> Result<(), Refusal> {
        let keyed = match class {
            Class::Issue => &self.issue,
            Class::Introspect => &self.introspect,
            Class::Revoke => &self.revoke,
            Class::Directory => &self.directory,
            Class::Open => return Ok(()),
        };
        let Some(keyed) = keyed else {
            return Ok(());
        };
        keyed
            .check(&(caller.client_id, caller.secret))
            .map_err(|until| refusal("of this client", &until))
    }

    /// Takes the look for the client of a certificate that was not seen of late.
    pub(super) fn lookup(&self, from: Option<SocketAddr>) -> Result<(), Refusal> {
        let (Some(keyed), Some(from)) = (&self.lookups, from) else {
            return Ok(());
        };
        keyed
            .check(&network(from.ip()))
            .map_err(|until| refusal("with unknown certificates from this address", &until))
    }

    /// Takes one failed authentication from an address.
    pub(super) fn failed(&self, from: Option<SocketAddr>) -> Result<(), Refusal> {
        let (Some(keyed), Some(from)) = (&self.failures, from) else {
            return Ok(());
        };
        keyed
            .check(&network(from.ip()))
            .map_err(|until| refusal("with bad credentials from this address", &until))
    }
}

/// One customer has a whole /64 of IPv6 (RFC 6177 section 2).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

fn refusal(of: &'static str, until: &NotUntil<QuantaInstant>) -> Refusal {
    Refusal::RateLimited {
        of,
        retry_after: until.wait_time_from(DefaultClock::default().now()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(rate: u32) -> Option<NonZeroU32> {
        NonZeroU32::new(rate)
    }

    fn with_secret(client: u128, secret: u8) -> Credentials {
        Credentials {
            client_id: Uuid::from_u128(client),
            secret: Some(SecretDigest([secret; 32])),
            identity: None,
        }
    }

    #[test]
    fn each_caller_and_each_class_has_its_own() {
        let limits = Limits::new(&Rates {
            issue: rate(2),
            introspect: rate(1),
            ..Rates::default()
        });
        let (one, other) = (&with_secret(1, 1), &with_secret(2, 1));
        assert!(limits.caller(one, Class::Issue).is_ok());
        assert!(limits.caller(one, Class::Issue).is_ok());
        let refused = limits.caller(one, Class::Issue).unwrap_err();
        let Refusal::RateLimited { retry_after, .. } = &refused else {
            panic!("{refused:?}")
        };
        assert!(!retry_after.is_zero() && retry_after.as_millis() <= 500);
        assert_eq!(refused.reason(), "RATE_LIMITED");
        assert!(limits.caller(other, Class::Issue).is_ok());
        assert!(limits.caller(one, Class::Introspect).is_ok());
        assert!(limits.caller(one, Class::Introspect).is_err());
        for _ in 0..100 {
            assert!(limits.caller(one, Class::Revoke).is_ok());
            assert!(limits.call().is_ok());
        }
    }

    #[test]
    fn who_has_one_secret_uses_up_nothing_of_the_others() {
        let limits = Limits::new(&Rates {
            issue: rate(1),
            ..Rates::default()
        });
        let (retired, current) = (with_secret(1, 1), with_secret(1, 2));
        assert!(limits.caller(&retired, Class::Issue).is_ok());
        assert!(limits.caller(&retired, Class::Issue).is_err());
        assert!(limits.caller(&current, Class::Issue).is_ok());
        let certificate = Credentials {
            secret: None,
            ..current
        };
        assert!(limits.caller(&certificate, Class::Issue).is_ok());
    }

    #[test]
    fn an_address_is_one_whatever_its_form() {
        let limits = Limits::new(&Rates {
            failed_authentications: rate(1),
            ..Rates::default()
        });
        let from = |text: &str| Some(SocketAddr::new(text.parse().unwrap(), 1));
        assert!(limits.failed(from("192.0.2.1")).is_ok());
        assert!(limits.failed(from("::ffff:192.0.2.1")).is_err());
        assert!(limits.failed(from("2001:db8::1")).is_ok());
        assert!(limits.failed(from("2001:db8::2:1")).is_err());
        assert!(limits.failed(from("2001:db8:0:1::1")).is_ok());
        assert!(limits.failed(None).is_ok());
    }

    #[test]
    fn keys_at_rest_are_forgotten() {
        let limits = Limits::new(&Rates {
            issue: rate(u32::MAX),
            ..Rates::default()
        });
        for n in 0..MOST_KEYS as u128 * 3 {
            limits.caller(&with_secret(n, 1), Class::Issue).unwrap();
        }
        let kept = limits.issue.unwrap().limiter.len();
        assert!(kept <= MOST_KEYS + LOOK_EVERY as usize, "{kept}");
    }
}
