//! The mutating calls by name.

/// A mutating call. A new one gets a row here, in `ALL` and in `Ground::call` (worker.rs).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    IssueClientOnly,
    OpenSession,
    OpenRepeated,
    OpenLimited,
    OpenRegistering,
    Rotate,
    Reuse,
    RevokeById,
    RevokeByRefreshToken,
    RevokeByAccessToken,
    RevokeByStranger,
    RevokeUser,
    RevokeUserButOne,
    RevokeAccessToken,
    RevokeRefreshToken,
    RegisterUser,
    DisableUser,
    EnableUser,
    CreateClient,
    UpdateClient,
    DisableClient,
    EnableClient,
    CutOffClient,
    RotateSecret,
    RetireSecret,
    Fence,
}

impl Op {
    pub const ALL: [Self; 26] = [
        Self::IssueClientOnly,
        Self::OpenSession,
        Self::OpenRepeated,
        Self::OpenLimited,
        Self::OpenRegistering,
        Self::Rotate,
        Self::Reuse,
        Self::RevokeById,
        Self::RevokeByRefreshToken,
        Self::RevokeByAccessToken,
        Self::RevokeByStranger,
        Self::RevokeUser,
        Self::RevokeUserButOne,
        Self::RevokeAccessToken,
        Self::RevokeRefreshToken,
        Self::RegisterUser,
        Self::DisableUser,
        Self::EnableUser,
        Self::CreateClient,
        Self::UpdateClient,
        Self::DisableClient,
        Self::EnableClient,
        Self::CutOffClient,
        Self::RotateSecret,
        Self::RetireSecret,
        Self::Fence,
    ];
}

/// Random enough, and the same in every run.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: usize) -> Self {
        Self((seed as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// Below `sides`.
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}
