//! An event as one line of text: its time, the meeting, the participant, what happened, its provenance, and how long after
//! its time it was observed.

use jiff::SignedDuration;
use jiff::tz::TimeZone;

use super::table::{counted, date_and_time, fit};
use crate::model::text::for_terminal;
use crate::model::{Event, EventType, ParticipantKind, Provenance};

const MEETING_WIDTH: usize = 14;
const PARTICIPANT_WIDTH: usize = 24;
const WHAT_WIDTH: usize = 28;
const PROVENANCE_WIDTH: usize = 10;

/// From this width on, a line of the log also has the provenance and the delay.
const WIDE: usize = 118;

/// Returns the line of an event, without a line break. Control characters of names are escaped. Times are UTC.
#[must_use]
pub(super) fn event_line(event: &Event, colour: bool) -> String {
    let time = event.time.to_zoned(TimeZone::UTC).strftime("%H:%M:%SZ").to_string();
    let meeting = column(&meeting(event), MEETING_WIDTH);
    let participant = column(&participant(event), PARTICIPANT_WIDTH);
    let what = column(&what(event), WHAT_WIDTH);
    let provenance = column(event.provenance.as_str(), PROVENANCE_WIDTH);
    let delay = format!("+{}", duration(event.observed_at.duration_since(event.time)));
    if !colour {
        return format!("{time}  {meeting}  {participant}  {what}  {provenance}  {delay}");
    }
    let (dim, reset) = ("\u{1b}[2m", "\u{1b}[0m");
    let provenance_colour = if event.provenance == Provenance::Inferred { "\u{1b}[33m" } else { dim };
    format!(
        "{dim}{time}{reset}  {meeting}  {participant}  {}{what}{reset}  {provenance_colour}{provenance}{reset}  {dim}{delay}{reset}",
        colour_of(event)
    )
}

/// Returns the line of an entry of the log: its position, and the event with its date. Without a line break. As wide as
/// `width` allows: what happened is in any case there, provenance and delay from [`WIDE`] columns on.
#[must_use]
pub(super) fn log_line(position: u64, event: &Event, width: usize, colour: bool) -> String {
    let time = date_and_time(event.time);
    // What is left of 80 columns beside position, time and meeting is the participant's and what happened.
    let (participant_width, what_width) = if width < WIDE { (14, 22) } else { (PARTICIPANT_WIDTH, WHAT_WIDTH) };
    let more_digits = position.checked_ilog10().map_or(0, |digits| digits.saturating_sub(3)) as usize;
    let participant_width = participant_width - more_digits.min(6);
    let meeting = column(&meeting(event), 12);
    let participant = column(&participant(event), participant_width);
    let what = column(&what(event), what_width);
    let known = match (width < WIDE, event.provenance) {
        (false, provenance) => {
            let delay = duration(event.observed_at.duration_since(event.time));
            format!("  {}  +{delay}", column(provenance.as_str(), PROVENANCE_WIDTH))
        }
        (true, _) => String::new(),
    };
    if !colour {
        return format!("{position:>4}  {time}  {meeting}  {participant}  {what}{known}").trim_end().to_owned();
    }
    let (dim, reset) = ("\u{1b}[2m", "\u{1b}[0m");
    let known_colour = if event.provenance == Provenance::Inferred { "\u{1b}[33m" } else { dim };
    format!(
        "{dim}{position:>4}  {time}{reset}  {meeting}  {participant}  {}{what}{reset}{known_colour}{known}{reset}",
        colour_of(event)
    )
}

pub(super) fn meeting(event: &Event) -> String {
    let Some(conference) = &event.conference else {
        return event.targets.first().map_or_else(|| "-".to_owned(), ToString::to_string);
    };
    match &conference.meeting_code {
        Some(code) => code.to_string(),
        None => conference.name.as_str().rsplit('/').next().unwrap_or_default().to_owned(),
    }
}

pub(super) fn participant(event: &Event) -> String {
    let Some(person) = &event.participant else { return "-".to_owned() };
    let unnamed = match person.kind {
        ParticipantKind::SignedIn => "unnamed user",
        ParticipantKind::Anonymous => "unnamed guest",
        ParticipantKind::Phone => "phone",
        ParticipantKind::Unknown => "unnamed participant",
    };
    person.display_name.as_deref().unwrap_or(unnamed).to_owned()
}

pub(super) fn what(event: &Event) -> String {
    let present = event.present.map(|present| format!(" ({present} present)")).unwrap_or_default();
    let plain = match event.event {
        EventType::WatchGap => gap(event),
        EventType::ConferenceStarted => "meeting started".to_owned(),
        EventType::ConferenceEnded => match &event.attendance {
            Some(attendance) => format!("meeting ended ({})", counted(attendance.total.into(), "person", "people")),
            None => "meeting ended".to_owned(),
        },
        EventType::SessionStarted => "device joined".to_owned(),
        EventType::SessionEnded => "device left".to_owned(),
        EventType::ParticipantJoined => format!("joined{present}"),
        EventType::ParticipantLeft => format!("left{present}"),
        EventType::EventRetracted => "retracted".to_owned(),
        EventType::WebhookTest => "test event".to_owned(),
    };
    if event.corrects.is_some() { format!("{plain}, corrected") } else { plain }
}

fn gap(event: &Event) -> String {
    event.gap.as_ref().map_or_else(
        || "not watched".to_owned(),
        |gap| format!("not watched for {}", duration(gap.to.duration_since(gap.from))),
    )
}

pub(super) fn colour_of(event: &Event) -> &'static str {
    match event.event {
        EventType::ParticipantJoined => "\u{1b}[32m",
        EventType::ParticipantLeft => "\u{1b}[31m",
        EventType::ConferenceStarted | EventType::ConferenceEnded => "\u{1b}[1m",
        EventType::WatchGap | EventType::EventRetracted => "\u{1b}[33m",
        EventType::SessionStarted | EventType::SessionEnded | EventType::WebhookTest => "\u{1b}[2m",
    }
}

/// Returns a duration such as 7.5s, 2m05s or 1h30m. Negative durations count as zero.
pub(super) fn duration(length: SignedDuration) -> String {
    let tenths = length.max(SignedDuration::ZERO).as_millis() / 100;
    let seconds = tenths / 10;
    match seconds {
        0..60 => format!("{seconds}.{}s", tenths % 10),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// Escapes control characters, and pads or cuts the text to exactly `width` terminal columns; a cut text ends in an ellipsis.
pub(super) fn column(text: &str, width: usize) -> String {
    fit(&for_terminal(text), width)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use unicode_width::UnicodeWidthStr;

    use super::*;

    fn event(changes: &Value) -> Event {
        let mut event = json!({
            "schema": 1, "id": "evt_a", "type": "participant.joined", "time": "2026-01-05T10:00:02.123456Z",
            "observed_at": "2026-01-05T10:00:09.870Z", "provenance": "observed", "sequence": 17, "targets": ["board"],
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
    fn a_line_has_time_meeting_participant_event_provenance_and_delay() {
        assert_eq!(
            event_line(&event(&json!({})), false),
            "10:00:02Z  abc-mnop-xyz    Ada                       joined (7 present)            observed    +7.7s"
        );
    }

    #[test]
    fn a_line_of_the_log_has_its_position_and_date_and_fits_80_columns() {
        let line = |width, colour| log_line(17, &event(&json!({})), width, colour);
        assert_eq!(line(80, false), "  17  2026-01-05 10:00:02Z  abc-mnop-xyz  Ada             joined (7 present)");
        assert!(line(120, false).ends_with("observed    +7.7s"));
        let long = json!({"participant": {"name": "conferenceRecords/c/participants/p", "kind": "phone", "user": null, "display_name": "日本語の名前がとても長い人ですよね", "email": null, "affiliation": null}, "corrects": "evt_b", "present": 123_456});
        for (position, width) in [(9999, 80), (1_234_567, 80), (1_234_567, 120)] {
            let line = log_line(position, &event(&long), width, false);
            assert!(line.width() <= width, "{}: {line}", line.width());
        }
        assert!(line(80, true).contains("\u{1b}[32mjoined") && !line(80, false).contains('\u{1b}'));
    }

    #[test]
    fn lines_of_all_types_are_aligned() {
        let changes = [
            json!({"type": "conference.started", "participant": null, "present": null}),
            json!({"type": "participant.left", "provenance": "inferred", "corrects": "evt_b", "present": 123_456}),
            json!({"type": "watch.gap", "conference": null, "from": "2026-01-05T10:00:00Z", "to": "2026-01-05T12:00:00Z", "reason": "down"}),
            json!({"participant": {"name": "conferenceRecords/c/participants/p", "kind": "phone", "user": null, "display_name": "日本語の名前がとても長い人ですよね", "email": null, "affiliation": null}}),
        ];
        let plain = event_line(&event(&json!({})), false);
        let at = plain[..plain.rfind("+").unwrap()].width();
        for change in changes {
            let line = event_line(&event(&change), false);
            assert_eq!(line[..line.rfind('+').unwrap()].width(), at, "{line}");
        }
    }

    #[test]
    fn control_characters_of_a_name_are_escaped() {
        let person = json!({"name": "conferenceRecords/c/participants/p", "kind": "anonymous", "user": null, "display_name": "\u{1b}[2J\nroot", "email": null, "affiliation": null});
        let line = event_line(&event(&json!({"participant": person})), false);
        assert!(!line.contains(['\u{1b}', '\n']) && line.contains("\\u{1b}[2J"), "{line:?}");
    }

    #[test]
    fn durations_are_short_and_never_negative() {
        let shown = |millis| duration(SignedDuration::from_millis(millis));
        assert_eq!(
            [shown(-5), shown(59_949), shown(60_000), shown(3_599_000), shown(90_000_000)],
            ["0.0s", "59.9s", "1m00s", "59m59s", "25h00m"]
        );
    }
}
