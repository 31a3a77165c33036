//! What the server shows and to whom, made from the configuration.

use std::pin::Pin;
use std::sync::Arc;

use secrecy::SecretString;

use super::StartError;
use crate::clock::Clock;
use crate::config::Config;
use crate::delivery::settings::redacted;
use crate::delivery::{EndpointSettings, FailureReason, Probe, ProbeResult, SenderError};
use crate::model::EndpointName;
use crate::serve::{EndpointDescription, EndpointTester, LiveConfig, TestReport};
use crate::store::StoreError;

/// What the API shows of the endpoints.
fn cards(config: &Config) -> Vec<EndpointDescription> {
    let card = |endpoint: &EndpointSettings| EndpointDescription {
        name: endpoint.name.clone(),
        address: redacted(&endpoint.url),
        format: endpoint.format.name(),
        names: endpoint.names.as_str(),
    };
    config.webhooks.iter().map(card).collect()
}

/// What the server shows, and to whom.
pub(super) async fn make(
    config: &Config,
    token: SecretString,
    tester: Arc<dyn EndpointTester>,
) -> Result<LiveConfig, StartError> {
    let (settings, cards) = (config.server.clone(), cards(config));
    let made = tokio::task::spawn_blocking(move || LiveConfig::new(&settings, token, cards, tester)).await;
    made.map_err(|_| StoreError::Closed)?.map_err(StartError::Tls)
}

/// What the API tries endpoints with.
pub(super) fn probe(config: &Config, clock: Clock) -> Result<Arc<dyn EndpointTester>, SenderError> {
    Ok(Arc::new(Trial(Arc::new(Probe::new(&config.webhooks, clock)?))))
}

/// Lets the API try endpoints.
struct Trial(Arc<Probe>);

impl EndpointTester for Trial {
    fn test(&self, endpoint: EndpointName) -> Pin<Box<dyn Future<Output = Option<TestReport>> + Send>> {
        let probe = Arc::clone(&self.0);
        Box::pin(async move {
            let ProbeResult { id, took, reply } = probe.test(&endpoint).await?;
            Some(TestReport {
                id: id.to_string(),
                took,
                status: reply.status,
                reason: reply.outcome.reason().map(FailureReason::as_str),
                answer: reply.answer,
            })
        })
    }
}
