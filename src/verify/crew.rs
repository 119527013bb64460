//! The clients that a run registers, and where they call.

use super::{
    calls::{Authorization, Caller, Unanswered},
    history::Actor,
};
use crate::proto::v1;
use std::time::{Duration, Instant};
use tonic::transport::Channel;

/// The audience of every token of a run.
const AUDIENCE: &str = "urn:countersign:verify";
/// The scope of every token of a run.
pub(super) const SCOPE: &str = "countersign:verify";
/// How long the access tokens of a run live.
pub(super) const ACCESS_TTL: Duration = Duration::from_mins(10);

/// How many sessions a user of a run may have: more than it opens.
const SESSIONS_PER_USER: u32 = 100;

/// A client that a run registered.
#[derive(Clone)]
pub(super) struct Member {
    client_id: String,
    authorization: Authorization,
}

/// The client that a user's sessions belong to.
#[derive(Clone)]
pub(super) struct Owner {
    pub(super) member: Member,
    pub(super) grace: Duration,
    /// It serves one user alone and is disabled at their end.
    pub(super) doomed: bool,
}

/// Every client of a run.
pub(super) struct Crew {
    channels: Vec<Channel>,
    admin: Authorization,
    timeout: Duration,
    patience: Duration,
    patient: Owner,
    strict: Owner,
    stranger: Member,
    revoker: Member,
    introspector: Member,
}

impl Crew {
    /// Registers the clients. A server that is away is waited for.
    pub(super) async fn register(
        channels: Vec<Channel>,
        admin: Authorization,
        timeout: Duration,
        patience: Duration,
        grace: Duration,
    ) -> Result<Self, Unanswered> {
        let by = Caller::new(channels[0].clone(), admin.clone(), timeout);
        let patient = register(&by, patience, "patient owner", &[v1::Role::Issuer], grace).await?;
        let none = Duration::ZERO;
        let strict = register(&by, patience, "strict owner", &[v1::Role::Issuer], none).await?;
        let stranger = register(&by, patience, "stranger", &[], grace).await?;
        let revoker = register(&by, patience, "revoker", &[v1::Role::Revoker], grace).await?;
        let roles = &[v1::Role::Introspector];
        let introspector = register(&by, patience, "introspector", roles, grace).await?;
        let owner = |member, grace| Owner {
            member,
            grace,
            doomed: false,
        };
        Ok(Self {
            patient: owner(patient, grace),
            strict: owner(strict, Duration::ZERO),
            stranger,
            revoker,
            introspector,
            channels,
            admin,
            timeout,
            patience,
        })
    }

    /// An owner for a new user: one that all share, or one that is disabled with them.
    pub(super) async fn owner(&self) -> Result<Owner, Unanswered> {
        match fastrand::u8(..100) {
            0..6 => {
                let by = self.admin();
                let grace = self.patient.grace;
                let roles = &[v1::Role::Issuer];
                match register(&by, self.patience, "doomed owner", roles, grace).await {
                    Ok(member) => Ok(Owner {
                        member,
                        grace,
                        doomed: true,
                    }),
                    // An outage that outlasts patience is no end of the run.
                    Err(Unanswered::Lost(_)) => Ok(self.patient.clone()),
                    Err(error) => Err(error),
                }
            }
            6..25 => Ok(self.strict.clone()),
            _ => Ok(self.patient.clone()),
        }
    }

    /// An actor, at a server drawn by lot.
    pub(super) fn caller(&self, owner: &Owner, actor: Actor) -> Caller {
        let authorization = match actor {
            Actor::Owner => &owner.member.authorization,
            Actor::Stranger => &self.stranger.authorization,
            Actor::Revoker => &self.revoker.authorization,
            Actor::Introspector => &self.introspector.authorization,
            Actor::Admin => &self.admin,
        };
        let channel = fastrand::choice(&self.channels).unwrap_or(&self.channels[0]);
        Caller::new(channel.clone(), authorization.clone(), self.timeout)
    }

    fn admin(&self) -> Caller {
        let channel = fastrand::choice(&self.channels).unwrap_or(&self.channels[0]);
        Caller::new(channel.clone(), self.admin.clone(), self.timeout)
    }

    /// How long an actor goes on trying.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// Disables what the run registered, which ends every token of it. Where one cannot be, the
    /// others still are.
    pub(super) async fn dismiss(&self) -> Result<(), Unanswered> {
        let members = [
            &self.patient.member,
            &self.strict.member,
            &self.stranger,
            &self.revoker,
            &self.introspector,
        ];
        let mut dismissed = Ok(());
        for member in members {
            let admin = self.admin();
            let disable = || {
                let (admin, client_id) = (admin.clone(), member.client_id.clone());
                async move { admin.disable_client(client_id).await }
            };
            dismissed = dismissed.and(insist(self.patience, disable).await);
        }
        dismissed
    }
}

impl Owner {
    /// The client's id.
    pub(super) fn client_id(&self) -> String {
        self.member.client_id.clone()
    }
}

async fn register(
    admin: &Caller,
    patience: Duration,
    name: &'static str,
    roles: &'static [v1::Role],
    grace: Duration,
) -> Result<Member, Unanswered> {
    let span = |length: Duration| prost_types::Duration::try_from(length).ok();
    let settings = v1::ClientSettings {
        name: format!("countersign verify: {name}"),
        roles: roles.iter().map(|role| i32::from(*role)).collect(),
        scopes: vec![SCOPE.to_owned()],
        audience: vec![AUDIENCE.to_owned()],
        default_audience: vec![AUDIENCE.to_owned()],
        access_token_ttl: span(ACCESS_TTL),
        rotation_grace: span(grace),
        // Whatever the authority's own is: a run opens several for one user.
        sessions_per_user: SESSIONS_PER_USER,
        ..v1::ClientSettings::default()
    };
    let create = || {
        let (admin, settings) = (admin.clone(), settings.clone());
        async move { admin.create_client(settings).await }
    };
    let (client_id, authorization) = insist(patience, create).await?;
    Ok(Member {
        client_id,
        authorization,
    })
}

/// Repeats a call while its answer is lost, as long as patience lasts.
async fn insist<T, F>(patience: Duration, call: impl Fn() -> F) -> Result<T, Unanswered>
where
    F: Future<Output = Result<T, Unanswered>>,
{
    let began = Instant::now();
    loop {
        match call().await {
            Err(Unanswered::Lost(_)) if began.elapsed() < patience => pause().await,
            other => return other,
        }
    }
}

/// What a client waits before it tries again.
pub(super) async fn pause() {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(20..120))).await;
}
