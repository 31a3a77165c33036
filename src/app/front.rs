//! Builds the part of the server that depends on the configuration: access, TLS, the list of endpoints, and endpoint tests.

use std::pin::Pin;
use std::sync::Arc;

use secrecy::SecretString;

use super::StartError;
use crate::clock::Clock;
use crate::config::Config;
use crate::delivery::settings::redacted;
use crate::delivery::{EndpointSettings, FailureReason, LearnedLimits, TestResult, TestSender};
use crate::model::EndpointName;
use crate::serve::{EndpointDescription, EndpointLimits, EndpointTester, LiveConfig, TestReport};
use crate::store::StoreError;

/// Builds the front of the server for this configuration and API token.
pub(super) async fn build(config: &Config, token: SecretString, clock: Clock) -> Result<LiveConfig, StartError> {
    let tester = Arc::new(WebhookTester(Arc::new(TestSender::new(&config.webhooks, clock)?)));
    let (settings, cards) = (config.server.clone(), cards(config));
    let built = tokio::task::spawn_blocking(move || LiveConfig::new(&settings, token, cards, tester)).await;
    let front = built.map_err(|_| StoreError::Closed)?.map_err(StartError::Tls)?;
    Ok(front.with_targets(config.targets.iter().map(|target| target.name.clone()).collect()))
}

/// Returns what the API shows of the endpoints' configuration.
fn cards(config: &Config) -> Vec<EndpointDescription> {
    let card = |endpoint: &EndpointSettings| EndpointDescription {
        name: endpoint.name.clone(),
        address: redacted(&endpoint.url),
        format: endpoint.format.name(),
        names: endpoint.names.as_str(),
    };
    config.webhooks.iter().map(card).collect()
}

impl EndpointLimits for LearnedLimits {
    fn limited_per_second(&self, endpoint: &EndpointName) -> Option<f64> {
        self.per_second(endpoint)
    }
}

/// Sends the test events that the API requests.
struct WebhookTester(Arc<TestSender>);

impl EndpointTester for WebhookTester {
    fn test(&self, endpoint: EndpointName) -> Pin<Box<dyn Future<Output = Option<TestReport>> + Send>> {
        let sender = Arc::clone(&self.0);
        Box::pin(async move {
            let TestResult { id, took, reply } = sender.test(&endpoint).await?;
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
