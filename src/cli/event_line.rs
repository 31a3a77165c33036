//! One event as one line that people read: time, meeting, who, what, how it is known, how long after it happened.

use std::fmt::Write;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::model::text::for_terminal;
use crate::model::{Event, EventType, ParticipantKind, Provenance};

const MEETING_WIDTH: usize = 14;
const WHO_WIDTH: usize = 24;
const WHAT_WIDTH: usize = 28;
const KNOWN_WIDTH: usize = 10;

/// The line of an event, without a line break. What strangers wrote cannot act on the terminal. Times are UTC.
#[must_use]
pub fn event_line(event: &Event, colour: bool) -> String {
    let time = event.time.to_zoned(TimeZone::UTC).strftime("%H:%M:%SZ").to_string();
    let meeting = column(&meeting(event), MEETING_WIDTH);
    let who = column(&who(event), WHO_WIDTH);
    let what = column(&what(event), WHAT_WIDTH);
    let known = column(event.provenance.as_str(), KNOWN_WIDTH);
    let delay = format!("+{}", span(event.observed_at.duration_since(event.time)));
    if !colour {
        return format!("{time}  {meeting}  {who}  {what}  {known}  {delay}");
    }
    let (dim, reset) = ("\u{1b}[2m", "\u{1b}[0m");
    let known_colour = if event.provenance == Provenance::Inferred { "\u{1b}[33m" } else { dim };
    format!(
        "{dim}{time}{reset}  {meeting}  {who}  {}{what}{reset}  {known_colour}{known}{reset}  {dim}{delay}{reset}",
        colour_of(event)
    )
}

fn meeting(event: &Event) -> String {
    let Some(conference) = &event.conference else {
        return event.targets.first().map_or_else(|| "-".to_owned(), ToString::to_string);
    };
    match &conference.meeting_code {
        Some(code) => code.to_string(),
        None => conference.name.as_str().rsplit('/').next().unwrap_or_default().to_owned(),
    }
}

fn who(event: &Event) -> String {
    let Some(person) = &event.participant else { return "-".to_owned() };
    let unnamed = match person.kind {
        ParticipantKind::SignedIn => "somebody signed in",
        ParticipantKind::Anonymous => "a guest",
        ParticipantKind::Phone => "a telephone",
        ParticipantKind::Unknown => "somebody",
    };
    person.display_name.as_deref().unwrap_or(unnamed).to_owned()
}

fn what(event: &Event) -> String {
    let present = event.present.map(|present| format!(" ({present} present)")).unwrap_or_default();
    let plain = match event.event {
        EventType::WatchGap => gap(event),
        EventType::ConferenceStarted => "meeting began".to_owned(),
        EventType::ConferenceEnded => match &event.attendance {
            Some(attendance) => format!("meeting ended, {} people", attendance.total),
            None => "meeting ended".to_owned(),
        },
        EventType::SessionStarted => "device on".to_owned(),
        EventType::SessionEnded => "device off".to_owned(),
        EventType::ParticipantJoined => format!("joined{present}"),
        EventType::ParticipantLeft => format!("left{present}"),
        EventType::EventRetracted => "taken back".to_owned(),
        EventType::WebhookTest => "test".to_owned(),
    };
    if event.corrects.is_some() { format!("{plain}, corrected") } else { plain }
}

fn gap(event: &Event) -> String {
    event.gap.as_ref().map_or_else(
        || "nobody looked".to_owned(),
        |gap| format!("nobody looked for {}", span(gap.to.duration_since(gap.from))),
    )
}

fn colour_of(event: &Event) -> &'static str {
    match event.event {
        EventType::ParticipantJoined => "\u{1b}[32m",
        EventType::ParticipantLeft => "\u{1b}[31m",
        EventType::ConferenceStarted | EventType::ConferenceEnded => "\u{1b}[1m",
        EventType::WatchGap | EventType::EventRetracted => "\u{1b}[33m",
        EventType::SessionStarted | EventType::SessionEnded | EventType::WebhookTest => "\u{1b}[2m",
    }
}

/// A length of time as people say it, to a tenth of a second where that matters.
fn span(length: SignedDuration) -> String {
    let tenths = length.max(SignedDuration::ZERO).as_millis() / 100;
    let seconds = tenths / 10;
    match seconds {
        0..60 => format!("{seconds}.{}s", tenths % 10),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// Makes text harmless and exactly so wide, cut with an ellipsis where it is longer.
fn column(text: &str, width: usize) -> String {
    let safe = for_terminal(text);
    let mut out = String::with_capacity(width);
    let fits = safe.width() <= width;
    let room = if fits { width } else { width - 1 };
    let mut used = 0;
    for c in safe.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide > room {
            break;
        }
        used += wide;
        out.push(c);
    }
    if !fits {
        out.push('…');
        used += 1;
    }
    let _ = write!(out, "{:1$}", "", width - used);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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
    fn a_line_says_when_where_who_what_how_known_and_how_late() {
        assert_eq!(
            event_line(&event(&json!({})), false),
            "10:00:02Z  abc-mnop-xyz    Ada                       joined (7 present)            observed    +7.7s"
        );
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
    fn a_name_cannot_act_on_the_terminal() {
        let person = json!({"name": "conferenceRecords/c/participants/p", "kind": "anonymous", "user": null, "display_name": "\u{1b}[2J\nroot", "email": null, "affiliation": null});
        let line = event_line(&event(&json!({"participant": person})), false);
        assert!(!line.contains(['\u{1b}', '\n']) && line.contains("\\u{1b}[2J"), "{line:?}");
    }

    #[test]
    fn spans_are_said_as_people_say_them_and_never_negative() {
        let said = |millis| span(SignedDuration::from_millis(millis));
        assert_eq!(
            [said(-5), said(59_949), said(60_000), said(3_599_000), said(90_000_000)],
            ["0.0s", "59.9s", "1m00s", "59m59s", "25h00m"]
        );
    }
}
