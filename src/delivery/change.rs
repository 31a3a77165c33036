//! Other endpoints for a dispatcher that runs: made whole beforehand, taken over in one step.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, oneshot};

use super::decide::Policy;
use super::format::Writer;
use super::send::{Sender, SenderError};
use super::settings::EndpointSettings;
use super::step::Endpoint;
use crate::clock::Clock;
use crate::model::EndpointName;

/// Endpoints that are ready to be sent to.
#[derive(Debug)]
pub struct Endpoints {
    pub(super) targets: BTreeMap<EndpointName, Target>,
    pub(super) endpoints: Vec<Endpoint>,
}

/// How one endpoint is sent to.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) sender: Sender,
    pub(super) writer: Writer,
}

impl Endpoints {
    /// Makes everything that sending to these endpoints needs.
    ///
    /// # Errors
    /// [`SenderError`] where no HTTP client can be made, or names are to be hidden and there is no key for it.
    pub fn new(
        settings: &[EndpointSettings],
        clock: Clock,
        policy: fn(&EndpointSettings) -> Policy,
    ) -> Result<Self, SenderError> {
        let target = |endpoint: &EndpointSettings| {
            let target = Target { sender: Sender::new(endpoint, clock)?, writer: Writer::new(endpoint)? };
            Ok((endpoint.name.clone(), target))
        };
        let targets = settings.iter().map(target).collect::<Result<_, SenderError>>()?;
        Ok(Self { targets, endpoints: settings.iter().map(|one| Endpoint::of(one, policy(one))).collect() })
    }
}

/// Hands other endpoints to a dispatcher.
#[derive(Debug, Clone)]
pub struct Changes(mpsc::Sender<Change>);

#[derive(Debug)]
pub(super) struct Change {
    pub(super) endpoints: Endpoints,
    pub(super) done: oneshot::Sender<()>,
}

impl Changes {
    pub(super) fn new() -> (Self, mpsc::Receiver<Change>) {
        let (sender, receiver) = mpsc::channel(1);
        (Self(sender), receiver)
    }

    /// Sends to these endpoints from now on. Returns whether the dispatcher has taken over: it does so at once unless it
    /// has ended.
    pub async fn take_over(&self, endpoints: Endpoints) -> bool {
        let (done, taken) = oneshot::channel();
        self.0.send(Change { endpoints, done }).await.is_ok() && taken.await.is_ok()
    }
}
