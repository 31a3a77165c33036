//! The endpoints of a history: one for each way of delivery.

use std::time::Duration;

use reqwest::Url;

use super::CONCURRENCY;
use crate::delivery::EndpointSettings;
use crate::delivery::format::{self, FormatOptions};
use crate::delivery::settings::Batching;
use crate::model::route::EventPattern;
use crate::model::{EndpointName, Route};
use crate::verify::history::HistoryError;

/// The template of the receiver with a format of its own.
const TEMPLATE: &str = r#"{"id": "{{ event.id }}", "text": "{{ sentence|plain }}", "at": "{{ local_time }}"}"#;

/// Returns one receiver for each way of delivery: single events, batches, a chat with settled digests about people, a
/// chat with immediate messages about people, and an unordered receiver with a template.
pub(super) fn settings() -> Result<[EndpointSettings; 5], HistoryError> {
    let plain = |name: &str| {
        let broken = |error: &dyn std::fmt::Display| HistoryError::Setup(error.to_string());
        let name = EndpointName::parse(name).map_err(|error| broken(&error))?;
        let url = Url::parse("https://example.com/").map_err(|error| broken(&error))?;
        let settings = EndpointSettings::new(name, url);
        let route = Route { events: vec![EventPattern::All], ..settings.route.clone() };
        Ok::<_, HistoryError>(EndpointSettings { route, concurrency: CONCURRENCY as usize, ..settings })
    };
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(1));
    let format = |name: &str, template| {
        let spec = format::by_name(name).ok_or_else(|| HistoryError::Setup(format!("no format {name}")))?;
        let options = FormatOptions { zone: zone.clone(), template, ..FormatOptions::default() };
        (spec.build)(options).map_err(|error| HistoryError::Setup(error.to_string()))
    };
    let gathering = |max_events, seconds| Some(Batching { max_events, max_wait: Duration::from_secs(seconds) });
    let batches =
        EndpointSettings { format: format("cloudevents", None)?, batching: gathering(7, 30), ..plain("heaps")? };
    let events: Vec<_> =
        ["participant.*", "conference.*", "watch.gap"].into_iter().filter_map(EventPattern::parse).collect();
    let of_people = |settings: EndpointSettings| EndpointSettings {
        route: Route { events: events.clone(), ..settings.route.clone() },
        ..settings
    };
    let slack = EndpointSettings {
        format: format("slack", None)?,
        settle: Duration::from_secs(30),
        batching: gathering(100, 20),
        ..of_people(plain("slack")?)
    };
    let google = EndpointSettings { format: format("google-chat", None)?, ..of_people(plain("google")?) };
    let own = EndpointSettings { format: format("template", Some(TEMPLATE))?, ordered: false, ..plain("own")? };
    Ok([plain("receiver")?, batches, slack, google, own])
}
