//! Servers beside the first, that listen otherwise.

use super::{Caller, Deployment};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign::{
    app,
    config::{Config, Flags},
    telemetry::Telemetry,
};
use std::sync::Arc;
use tokio::sync::oneshot;
use tonic::transport::Channel;

impl Deployment {
    /// One more server on the database, with settings over those of the others. Nobody is
    /// connected to it yet. Its port.
    pub async fn another(&mut self, settings: &[(&str, &str)]) -> u16 {
        let own = self.settings.clone().into_iter();
        let more = settings
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        let config = Config::load(None, own.chain(more), Flags::default()).unwrap();
        let mut telemetry = Telemetry::off();
        let bound = app::build(&config, Arc::clone(&self.ring), &mut telemetry)
            .await
            .unwrap();
        let port = bound.address().port();
        let mut readiness = bound.readiness();
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(bound.run(async {
            let _ = stopped.await;
        }));
        readiness.wait_for(|ready| *ready).await.unwrap();
        self.stops.push(stop);
        port
    }

    /// Stops the servers; their database stays.
    pub fn halt(&mut self) {
        self.stops.clear();
    }

    /// The same caller, calling over another connection.
    pub fn over(caller: &Caller, channel: Channel) -> Caller {
        Caller {
            channel,
            ..caller.clone()
        }
    }
}

impl Caller {
    /// A caller with these credentials, of whatever deployment.
    pub fn known(id: &str, secret: &str, channel: Channel) -> Self {
        let header = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
        Self {
            id: id.to_owned(),
            secret: secret.to_owned(),
            authorization: Some(header.parse().unwrap()),
            channel,
        }
    }
}
