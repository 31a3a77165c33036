//! Replaces the endpoints of a running dispatcher: the new set is built completely first, then takes effect in one step.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, oneshot};

use super::decide::Policy;
use super::endpoint::Endpoint;
use super::http::send::{Sender, SenderError};
use super::message::MessageWriter;
use super::settings::EndpointSettings;
use crate::clock::Clock;
use crate::model::EndpointName;

/// Endpoints, each ready to be sent to.
#[derive(Debug)]
pub struct EndpointSet {
    pub(super) links: BTreeMap<EndpointName, EndpointLink>,
    pub(super) endpoints: Vec<Endpoint>,
}

/// Writes and sends the messages of one endpoint.
#[derive(Debug, Clone)]
pub(super) struct EndpointLink {
    pub(super) sender: Sender,
    pub(super) writer: MessageWriter,
}

impl EndpointSet {
    /// Builds everything that sending to these endpoints needs.
    ///
    /// # Errors
    /// [`SenderError`] if an HTTP client cannot be set up, or names are to be replaced and there is no key.
    pub fn new(
        settings: &[EndpointSettings],
        clock: Clock,
        policy: fn(&EndpointSettings) -> Policy,
    ) -> Result<Self, SenderError> {
        let link = |endpoint: &EndpointSettings| {
            let link = EndpointLink { sender: Sender::new(endpoint, clock)?, writer: MessageWriter::new(endpoint)? };
            Ok((endpoint.name.clone(), link))
        };
        let links = settings.iter().map(link).collect::<Result<_, SenderError>>()?;
        Ok(Self { links, endpoints: settings.iter().map(|one| Endpoint::of(one, policy(one))).collect() })
    }
}

/// Replaces the endpoints of a running dispatcher.
#[derive(Debug, Clone)]
pub struct ReconfigureHandle(mpsc::Sender<Replacement>);

#[derive(Debug)]
pub(super) struct Replacement {
    pub(super) endpoints: EndpointSet,
    pub(super) done: oneshot::Sender<()>,
}

impl ReconfigureHandle {
    pub(super) fn new() -> (Self, mpsc::Receiver<Replacement>) {
        let (sender, receiver) = mpsc::channel(1);
        (Self(sender), receiver)
    }

    /// Replaces the endpoints, and waits until the dispatcher uses the new ones. Returns false if it has ended.
    pub async fn replace(&self, endpoints: EndpointSet) -> bool {
        let (done, taken) = oneshot::channel();
        self.0.send(Replacement { endpoints, done }).await.is_ok() && taken.await.is_ok()
    }
}
