//! What the receivers of these tests accept: signed messages whose events match the JSON Schema.

use std::sync::{Arc, LazyLock};

use hyper::HeaderMap;
use jsonschema::Validator;
use meetwatch::clock::Clock;
use meetwatch::delivery::sign::{self, SigningSecret};
use meetwatch::sim::receiver::Verify;
use serde_json::Value;

/// `docs/event.schema.json`.
pub(crate) static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(include_str!("../../docs/event.schema.json")).unwrap();
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::validator_for(&schema).unwrap()
});

/// Returns the schema errors of a delivery: one event or several, each as `data` in its envelope. A payload without
/// `data`, such as a chat message, contains no event.
pub(crate) fn wrong_with(payload: &Value, passes: impl Fn(&Value) -> bool) -> Vec<String> {
    let envelopes = payload.as_array().map_or(std::slice::from_ref(payload), Vec::as_slice);
    let events = envelopes.iter().filter_map(|envelope| envelope.get("data")).filter(|event| !passes(event));
    events.flat_map(|event| SCHEMA.iter_errors(event).map(move |error| format!("{error}: {event}"))).collect()
}

/// Accepts messages that are signed with this secret and match the schema. Prints why a signed message does not match:
/// it is refused, so the test that waits for it only times out.
#[expect(clippy::print_stderr, reason = "the waiting test does not see the reason")]
pub(crate) fn signed_and_right(secret: SigningSecret) -> Verify {
    let clock = Clock::new();
    Arc::new(move |headers: &HeaderMap, body: &[u8]| {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (id, at, signature) = (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
        let secrets = std::slice::from_ref(&secret);
        if sign::verify(secrets, id, at, signature, body, clock.now().wall, sign::TOLERANCE).is_err() {
            return false;
        }
        let wrong = serde_json::from_slice(body)
            .map_or_else(|error| vec![error.to_string()], |payload| wrong_with(&payload, |_| false));
        wrong.iter().for_each(|wrong| eprintln!("does not match the schema: {wrong}"));
        wrong.is_empty()
    })
}
