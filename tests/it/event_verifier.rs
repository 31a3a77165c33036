//! How the receivers of these tests verify deliveries: the signature, and the events against the JSON Schema.

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

/// Returns the schema errors of a delivery of one event or several, except for events that `passes` accepts. An event is the
/// `data` of its envelope; a payload without `data`, such as a chat message, has no event.
pub(crate) fn schema_errors(payload: &Value, passes: impl Fn(&Value) -> bool) -> Vec<String> {
    let envelopes = payload.as_array().map_or(std::slice::from_ref(payload), Vec::as_slice);
    let events = envelopes.iter().filter_map(|envelope| envelope.get("data")).filter(|event| !passes(event));
    events.flat_map(|event| SCHEMA.iter_errors(event).map(move |error| format!("{error}: {event}"))).collect()
}

/// Accepts deliveries that are signed with this secret and valid. Prints the schema errors of a signed delivery that it
/// refuses, because the test that waits for it only sees a timeout.
#[expect(clippy::print_stderr, reason = "the waiting test only sees a timeout")]
pub(crate) fn signed_and_valid(secret: SigningSecret) -> Verify {
    let clock = Clock::new();
    Arc::new(move |headers: &HeaderMap, body: &[u8]| {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (id, at, signature) = (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
        let secrets = std::slice::from_ref(&secret);
        if sign::verify(secrets, id, at, signature, body, clock.now().wall, sign::TOLERANCE).is_err() {
            return false;
        }
        let errors = serde_json::from_slice(body)
            .map_or_else(|error| vec![error.to_string()], |payload| schema_errors(&payload, |_| false));
        errors.iter().for_each(|error| eprintln!("not valid by the schema: {error}"));
        errors.is_empty()
    })
}
