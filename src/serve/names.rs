//! The names that a request may use: those of the configuration, and those that the store still has something of. A name
//! that is neither is refused with the nearest one. People are not among them.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::refusal::Refusal;
use super::state::ServerState;
use crate::model::{EndpointName, TargetName, nearest};
use crate::store::ConferenceQuery;

/// The most names that a refusal lists.
const MAX_LISTED: usize = 10;

/// Refuses the name of a target that is neither configured nor stored, and that no section of subjects has.
///
/// # Errors
/// 404, or 503 if the store cannot be read.
pub(super) async fn check_target(state: &ServerState, name: &TargetName) -> Result<(), Refusal> {
    let config = state.live_config.current();
    if config.targets.iter().any(|target| target.answers_to(name)) {
        return Ok(());
    }
    let stored = state.api.store.targets().await.map_err(|error| Refusal::store_unreadable(&error))?;
    if stored.iter().any(|target| target.name.answers_to(name)) || has_conference(state, name).await? {
        return Ok(());
    }
    let known: BTreeSet<String> =
        config.targets.iter().map(|target| target.group().unwrap_or_else(|| target.clone()).to_string()).collect();
    Err(Refusal::not_found(unknown("no such target", name.as_str(), &known)))
}

/// Whether the store has a conference that this target reached.
async fn has_conference(state: &ServerState, name: &TargetName) -> Result<bool, Refusal> {
    let until = state.api.clock.now().wall;
    let any = ConferenceQuery { target: Some(name.clone()), from: Timestamp::UNIX_EPOCH, until, limit: 1 };
    let found = state.api.store.conferences(any).await.map_err(|error| Refusal::store_unreadable(&error))?;
    Ok(!found.is_empty())
}

/// Refuses the name of an endpoint that is not configured and never had a delivery.
///
/// # Errors
/// 404, or 503 if the store cannot be read.
pub(super) async fn check_endpoint(state: &ServerState, name: &EndpointName) -> Result<(), Refusal> {
    if is_configured(state, name) {
        return Ok(());
    }
    let stored = state.api.store.outbox_summary().await.map_err(|error| Refusal::store_unreadable(&error))?;
    if stored.iter().any(|summary| summary.endpoint == *name) {
        return Ok(());
    }
    Err(Refusal::not_found(unknown_endpoint(state, "no such endpoint", name.as_str())))
}

fn is_configured(state: &ServerState, name: &EndpointName) -> bool {
    state.live_config.current().endpoints.iter().any(|configured| configured.name == *name)
}

/// Says that an endpoint is unknown, and which one was probably meant.
pub(super) fn unknown_endpoint(state: &ServerState, what: &str, given: &str) -> String {
    let config = state.live_config.current();
    unknown(what, given, &config.endpoints.iter().map(|configured| configured.name.to_string()).collect())
}

/// Completes the sentence `what` with the nearest of the names, or with all of them if they are few. Does not repeat what was
/// given, which may be a person's address.
fn unknown(what: &str, given: &str, names: &BTreeSet<String>) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    if let Some(meant) = nearest(given, names.iter().copied()) {
        return format!("{what}; did you mean `{meant}`?");
    }
    match names.len() {
        0 => format!("{what}; none is configured"),
        1..=MAX_LISTED => format!("{what}; configured: `{}`", names.join("`, `")),
        more => format!("{what}; the configuration names {more}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest_or_with_all() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let known = names(&["board", "staff"]);
        assert_eq!(unknown("no such target", "bord", &known), "no such target; did you mean `board`?");
        assert_eq!(unknown("no such target", "xyz", &known), "no such target; configured: `board`, `staff`");
        assert_eq!(unknown("no such target", "xyz", &names(&[])), "no such target; none is configured");
        let many: BTreeSet<String> = (0..11).map(|n| format!("t{n}")).collect();
        assert_eq!(unknown("no such target", "xyz", &many), "no such target; the configuration names 11");
    }
}
