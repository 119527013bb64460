//! The fixed limits of the contract: not settings, since clients rely on them.

/// Characters of any presented token, before it is even looked at.
pub const TOKEN_CHARS: usize = 4096;
/// Tokens of one `BatchIntrospect`.
pub const BATCH_TOKENS: usize = 1000;
/// Scopes of one request.
pub const REQUEST_SCOPES: usize = 64;
/// Scopes that a client may be allowed.
pub const CLIENT_SCOPES: usize = 256;
/// Characters of one scope.
pub const SCOPE_CHARS: usize = 128;
/// Audience members of one request.
pub const REQUEST_AUDIENCE: usize = 16;
/// Audience members that a client may be allowed.
pub const CLIENT_AUDIENCE: usize = 64;
/// Characters of one audience member.
pub const AUDIENCE_CHARS: usize = 512;
/// Characters of a user agent.
pub const USER_AGENT_CHARS: usize = 512;
/// Characters of a request id.
pub const REQUEST_ID_CHARS: usize = 128;
/// Characters of a client's name.
pub const CLIENT_NAME_CHARS: usize = 128;
/// Entries of one page.
pub const PAGE_SIZE: u32 = 1000;
/// Entries of a page when a request does not say.
pub const DEFAULT_PAGE_SIZE: u32 = 100;
/// Live secrets of one client.
pub const LIVE_SECRETS: usize = 2;
