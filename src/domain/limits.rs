//! Limits: the fixed ones, which no configuration moves, and the shape of those
//! that an administrator may set for one client.

use std::{ops::RangeInclusive, time::Duration};

/// One fixed limit, as the handbook lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedLimit {
    /// The name of its constant in this module.
    pub name: &'static str,
    /// Its value, in the unit that `meaning` names.
    pub value: usize,
    /// What it limits: the lines of the constant's documentation.
    pub meaning: &'static [&'static str],
}

/// Declares the constants and, from the same lines, [`FIXED`].
macro_rules! fixed_limits {
    ($( $(#[doc = $doc:literal])+ $name:ident = $value:literal; )+) => {
        $( $(#[doc = $doc])+ pub const $name: usize = $value; )+

        /// Every fixed limit, in the order of the handbook.
        pub const FIXED: &[FixedLimit] = &[
            $( FixedLimit { name: stringify!($name), value: $name, meaning: &[$($doc),+] }, )+
        ];
    };
}

fixed_limits! {
    /// Characters of a presented token, at most.
    TOKEN_CHARS = 4_096;
    /// Tokens in one `BatchIntrospect`, at most.
    BATCH_TOKENS = 1_000;
    /// Scopes in one request, at most.
    REQUEST_SCOPES = 64;
    /// Scopes that one client may have, at most.
    CLIENT_SCOPES = 256;
    /// Characters of one scope, at most.
    SCOPE_CHARS = 128;
    /// Audience members in one request, at most.
    REQUEST_AUDIENCE = 16;
    /// Audience members that one client may have, at most.
    CLIENT_AUDIENCE = 64;
    /// SPIFFE IDs and DNS names that prove one client, at most.
    CLIENT_IDENTITIES = 32;
    /// Characters of one audience member, at most.
    AUDIENCE_CHARS = 512;
    /// Characters of a session's user agent, at most.
    USER_AGENT_CHARS = 512;
    /// Characters of a request id, at most.
    REQUEST_ID_CHARS = 128;
    /// Characters of a client's name, at most.
    CLIENT_NAME_CHARS = 128;
    /// Characters of a DPoP proof, at most; an RSA key of 8,192 bits takes a third of them.
    DPOP_PROOF_CHARS = 8_192;
    /// Characters of a DPoP proof's `jti`, at most.
    DPOP_JTI_CHARS = 512;
    /// Characters of the method of a request that a resource server received, at most.
    HTTP_METHOD_CHARS = 64;
    /// Characters of the URI of a request that a resource server received, at most.
    REQUEST_URI_CHARS = 8_192;
    /// Entries on one page of a list, at most.
    PAGE_SIZE = 1_000;
    /// Entries on one page of a list whose request names no size.
    DEFAULT_PAGE_SIZE = 100;
    /// Live secrets of one client, at most: the one in use, and its successor.
    LIVE_SECRETS = 2;
    /// Seconds that an expired row stands before it is purged, at least.
    PURGE_MARGIN_SECONDS = 300;
}

/// The least grace above zero, in deadlines of `RotateRefresh`: a caller whose call
/// timed out must be able to try again, twice.
pub const GRACE_DEADLINES: u32 = 3;

/// Whether a rotation grace is zero or long enough for `deadline`, the own one
/// of `RotateRefresh`.
///
/// Holds for the authority's default and for each client's setting.
pub fn grace_covers(grace: Duration, deadline: Duration) -> bool {
    grace.is_zero() || grace >= deadline.saturating_mul(GRACE_DEADLINES)
}

/// What an administrator may choose for one client; the bounds are those of the
/// authority's own defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientLimits {
    /// The longest lifetime of its access tokens.
    pub access_token_ttl: RangeInclusive<Duration>,
    /// The lifetime of its sessions.
    pub session_ttl: RangeInclusive<Duration>,
    /// How long a session may go without a step.
    pub idle_timeout: RangeInclusive<Duration>,
    /// How long a superseded refresh token may be repeated; see [`grace_covers`].
    pub rotation_grace: RangeInclusive<Duration>,
    /// Live sessions of one user with it.
    pub sessions_per_user: RangeInclusive<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grace_is_zero_or_three_deadlines() {
        let deadline = Duration::from_secs(3);
        assert!(grace_covers(Duration::ZERO, deadline));
        assert!(grace_covers(Duration::from_secs(9), deadline));
        assert!(!grace_covers(Duration::from_millis(8_999), deadline));
        assert!(!grace_covers(Duration::from_millis(1), deadline));
        assert!(!grace_covers(Duration::from_secs(9), Duration::MAX));
    }

    #[test]
    fn the_list_holds_every_limit_once_with_a_meaning() {
        assert_eq!(FIXED.len(), 20);
        for (index, limit) in FIXED.iter().enumerate() {
            assert!(limit.value > 0 && !limit.meaning.is_empty(), "{limit:?}");
            assert!(
                FIXED[..index]
                    .iter()
                    .all(|earlier| earlier.name != limit.name)
            );
        }
    }
}
