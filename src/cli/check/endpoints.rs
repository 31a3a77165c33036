//! The online checks of webhook endpoints: a signed `webhook.test` event to each, if requested.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::CONCURRENCY;
use super::report::{CheckState, EndpointCheck};
use crate::cli::progress::Progress;
use crate::clock::Clock;
use crate::delivery::settings::PseudonymKey;
use crate::delivery::{self, EndpointSettings, TestSender};
use crate::model::EndpointName;

/// Returns the results of the endpoints, which are tested only if `test` is set.
pub(super) async fn check(settings: &[EndpointSettings], test: bool) -> anyhow::Result<Vec<EndpointCheck>> {
    let untested = |name: &EndpointName| EndpointCheck {
        name: name.clone(),
        state: CheckState::Skipped,
        status: None,
        seconds: None,
        reason: None,
        remedy: None,
    };
    let mut all: Vec<EndpointCheck> = settings.iter().map(|endpoint| untested(&endpoint.name)).collect();
    if !test {
        return Ok(all);
    }
    let mut settings = settings.to_vec();
    for endpoint in &mut settings {
        // A test event names no person, so any pseudonym key will do.
        endpoint.pseudonyms.get_or_insert_with(|| PseudonymKey::new(vec![0; 32]));
    }
    let sender = Arc::new(TestSender::new(&settings, Clock::new())?);
    let gate = Arc::new(Semaphore::new(CONCURRENCY));
    let mut tests = JoinSet::new();
    let progress = Progress::of("webhooks tested", settings.len() as u64);
    for (place, endpoint) in settings.into_iter().enumerate() {
        let (gate, sender) = (Arc::clone(&gate), Arc::clone(&sender));
        tests.spawn(async move {
            let _permit = gate.acquire().await;
            (place, sender.test(&endpoint.name).await)
        });
    }
    while let Some(joined) = tests.join_next().await {
        progress.step();
        let (place, tested) = joined?;
        if let (Some(endpoint), Some(tested)) = (all.get_mut(place), tested) {
            let reason = tested.reply.outcome.reason();
            endpoint.state = if reason.is_none() { CheckState::Ok } else { CheckState::Failed };
            (endpoint.status, endpoint.seconds) = (tested.reply.status, Some(tested.took.as_secs_f64()));
            endpoint.reason = reason.map(delivery::FailureReason::as_str);
            endpoint.remedy = reason.map(remedy);
        }
    }
    Ok(all)
}

/// Returns what helps where an endpoint did not accept the test event.
const fn remedy(reason: delivery::FailureReason) -> &'static str {
    use delivery::FailureReason as R;
    match reason {
        R::Unauthorized => "check that the receiver has the same secret, and whether it requires `headers`",
        R::Rejected | R::UnexpectedStatus | R::Redirect => {
            "check that `url` is the receiver's exact address, with its path, and that it accepts this `format`"
        }
        R::BodyFailure => {
            "the receiver's answer says that it failed, by `success_body` or `failure_body`: see its log, and check these patterns"
        }
        R::Gone => "the receiver asks for no more deliveries: change `url`, or remove the webhook",
        R::Throttled | R::Unavailable | R::ServerError => "the receiver was reached and failed: see its log",
        R::Timeout | R::Connect | R::Interrupted => {
            "check that the receiver runs and that this machine can reach it (`url`, firewall, `proxy`)"
        }
        R::Dns => "check that the host in `url` is right and that this machine can resolve it",
        R::Tls => "check the receiver's certificate and its issuer (`certificate_authority`)",
        R::OpenFiles => crate::open_files::REMEDY,
        R::RefusedAddress => "the receiver has a private address: set `allow_private = true`, or change `url`",
        R::BodyTooLarge => "the answer is too long for a receiver: check that `url` is its address",
        R::Unsendable | R::Window | R::MaxHold => {
            "check that `format` and its template can render a `webhook.test` event"
        }
    }
}
