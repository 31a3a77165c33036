//! An event of the demonstration as one line of at most 80 columns, and what its columns mean.

use super::event_line::{colour_of, column, duration, meeting, participant, what};
use crate::model::{Event, EventType};

/// What the columns of a line are.
pub(super) const LEGEND: &str = "\
time     meeting      person         what happened            known as   later
  known as: observed while it was polled; backfilled from Google's records;
            inferred, because Google did not say it
  later:    how long after it happened meetwatch knew";

/// Returns the line of an event, without a line break. Control characters of names are escaped. Times are UTC.
pub(super) fn demo_line(event: &Event, colour: bool) -> String {
    let time = event.time.strftime("%H:%M:%S");
    let (meeting, person, what) =
        (column(&meeting(event), 12), column(&participant(event), 14), column(&what(event), 24));
    let known = format!(
        "{} +{}",
        column(event.provenance.as_str(), 10),
        duration(event.observed_at.duration_since(event.time))
    );
    if colour {
        let (dim, reset) = ("\u{1b}[2m", "\u{1b}[0m");
        return format!("{dim}{time}{reset} {meeting} {person} {}{what}{reset} {dim}{known}{reset}", colour_of(event));
    }
    format!("{time} {meeting} {person} {what} {known}")
}

/// Returns whether an event is about one device of a person, whose joining and leaving is told as well.
pub(super) const fn is_of_a_device(event: &Event) -> bool {
    matches!(event.event, EventType::SessionStarted | EventType::SessionEnded)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use unicode_width::UnicodeWidthStr as _;

    use super::*;

    fn event(changes: &Value) -> Event {
        let mut event = json!({
            "schema": 1, "id": "evt_a", "type": "participant.joined", "time": "2026-01-05T10:00:02.123456Z",
            "observed_at": "2026-01-05T10:20:09.870Z", "provenance": "backfilled", "sequence": 17, "targets": ["board"],
            "conference": {"name": "conferenceRecords/c", "space": null, "meeting_code": "abc-mnop-xyz", "start_time": "2026-01-05T10:00:00Z"},
            "participant": {"name": "conferenceRecords/c/participants/p", "kind": "signed_in", "user": null, "display_name": "Ada", "email": null, "affiliation": null},
            "session": null, "present": 7, "corrects": null
        });
        for (key, value) in changes.as_object().unwrap() {
            event[key] = value.clone();
        }
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn a_line_and_its_legend_fit_80_columns() {
        let line = demo_line(&event(&json!({})), false);
        assert_eq!(line, "10:00:02 abc-mnop-xyz Ada            joined (7 present)       backfilled +20m07s");
        let long = json!({"type": "participant.left", "corrects": "evt_b", "present": 123_456, "participant": {
            "name": "conferenceRecords/c/participants/p", "kind": "phone", "user": null, "email": null, "affiliation": null,
            "display_name": "日本語の名前がとても長い人ですよね"}});
        for shown in LEGEND.lines().map(str::to_owned).chain([line, demo_line(&event(&long), false)]) {
            assert!(shown.width() <= 80, "{}: {shown}", shown.width());
        }
    }

    #[test]
    fn only_events_of_devices_are_left_out() {
        assert!(is_of_a_device(&event(&json!({"type": "session.started"}))));
        assert!(!is_of_a_device(&event(&json!({}))));
    }
}
