//! From the configuration to what each room takes.

use crate::{
    config::{self, Config, Nonces, ReplayMemory},
    domain::{
        dpop::{Algorithm, NoncePolicy, Origin, Rules},
        policy::Defaults,
    },
    grpc::{Connections, Deadlines, DirectoryBounds, EdgeOptions},
    listening, sidecar,
    store::{BatchLimits, DatabaseUrl, PoolOptions, PreparedStatements, StoreOptions},
};

/// How the store is opened.
pub(crate) fn store_options(config: &Config, url: DatabaseUrl, traced: bool) -> StoreOptions {
    StoreOptions {
        pool: PoolOptions {
            url,
            connections: config.database.connections,
            connect_timeout: config.database.connect_timeout,
            acquire_timeout: config.database.acquire_timeout,
            statement_timeout: config.database.statement_timeout,
            lock_timeout: config.database.lock_timeout,
            probe_timeout: config.database.probe_timeout,
            prepared_statements: match config.database.prepared_statements {
                config::PreparedStatements::Named => PreparedStatements::Named,
                config::PreparedStatements::Unnamed => PreparedStatements::Unnamed,
            },
        },
        batches: BatchLimits {
            max_calls: config.batch.max_calls,
            max_waiting: config.batch.max_waiting,
            max_wait: config.batch.max_wait,
            in_flight: config.batch.in_flight,
            patience: config.database.lock_timeout,
            traced,
        },
        defaults: Defaults {
            access_token_ttl: config.tokens.access_token_ttl,
            session_ttl: config.sessions.ttl,
            idle_timeout: config.sessions.idle_timeout,
            rotation_grace: config.rotation.grace,
            sessions_per_user: match config.sessions.per_user {
                0 => None,
                most => Some(most),
            },
        },
        remember_proofs: match config.dpop.replay {
            ReplayMemory::Memory => None,
            ReplayMemory::Shared => Some(proof_rules(config, 0).life()),
        },
    }
}

/// What is asked of proofs, by a server that listens on this port.
pub(crate) fn proof_rules(config: &Config, port: u16) -> Rules {
    // The rules of the configuration have read each of both lists.
    let origins = config.dpop.origins.iter();
    let origins = origins.filter_map(|origin| Origin::parse(origin).ok());
    let algorithms = config.dpop.algorithms.iter();
    Rules {
        algorithms: algorithms
            .filter_map(|name| Algorithm::from_name(name))
            .collect(),
        origins: origins.map(|origin| origin.on(port)).collect(),
        lifetime: config.dpop.lifetime,
        skew: config.dpop.clock_skew,
        nonces: match config.dpop.nonces {
            Nonces::Off => NoncePolicy::Off,
            Nonces::On => NoncePolicy::Offered,
            Nonces::Required => NoncePolicy::Required,
        },
        nonce_lifetime: config.dpop.nonce_lifetime,
    }
}

/// How the edge behaves.
pub(crate) fn edge_options(config: &Config, traced: bool) -> EdgeOptions {
    EdgeOptions {
        deadlines: Deadlines {
            call: config.calls.deadline,
            rotation: config.rotation.deadline,
            check: config.sidecar.deadline,
        },
        max_message_bytes: config.calls.max_message_bytes,
        connections: Connections {
            max_concurrent_streams: config.calls.max_concurrent_streams,
            max_metadata_bytes: config.connections.max_metadata_bytes,
            keepalive_interval: config.connections.keepalive_interval,
            keepalive_timeout: config.connections.keepalive_timeout,
        },
        rates: listening::rates(&config.limits),
        traced,
        bounds: DirectoryBounds {
            limits: config::limits(),
            rotation_deadline: config.rotation.deadline,
        },
        sidecar: sidecar_options(config),
    }
}

fn sidecar_options(config: &Config) -> sidecar::Options {
    let own = &config.sidecar;
    sidecar::Options {
        default: sidecar::Requirement {
            audience: own.audience.clone(),
            scopes: own.scopes.clone(),
            any_scope: own.any_scope.clone(),
            subject_required: own.subject_required,
            dpop_required: own.dpop_required,
            anonymous_allowed: own.anonymous_allowed,
            principals: own.principals.clone(),
        },
        // The rules of the configuration have read each of them.
        origins: own
            .origins
            .iter()
            .filter_map(|entry| sidecar::parse_origin(entry))
            .collect(),
        keep_token: own.keep_token,
        headers: sidecar::IdentityHeaders {
            subject: own.subject_header.clone(),
            client_id: own.client_id_header.clone(),
            scopes: own.scopes_header.clone(),
            session_id: own.session_id_header.clone(),
            token_id: own.token_id_header.clone(),
            expires_at: own.expires_at_header.clone(),
        },
        realm: config.issuer.clone(),
        algorithms: config.dpop.algorithms.join(" "),
    }
}
