//! An event as one short sentence for people: who did what in which meeting, when, and how many are still present.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::chat_text::harmless;
use crate::model::{Attendance, Event, EventType, Gap, ParticipantKind, Provenance};

/// Writes sentences with times in one zone.
#[derive(Debug)]
pub(super) struct Sentence {
    zone: TimeZone,
}

impl Sentence {
    pub(super) fn new(zone: TimeZone) -> Self {
        Self { zone }
    }

    /// Returns the event as a sentence of one line. Chats find no markup in it: each name went through [`harmless`].
    pub(super) fn of(&self, event: &Event) -> String {
        let (who, meeting) = (who(event), meeting(event));
        let at = self.time(event.time);
        let mut text = match event.event {
            EventType::ConferenceStarted => format!("● {meeting} began at {at}"),
            EventType::ConferenceEnded => format!("■ {meeting} ended at {at}{}", crowd(event.attendance.as_ref())),
            EventType::ParticipantJoined => format!("→ {who} joined {meeting} at {at}{}", remain(event)),
            EventType::ParticipantLeft => {
                format!("← {who} left {meeting} at {at}{}{}", stay(event.seconds_present), remain(event))
            }
            EventType::SessionStarted => format!("→ {who} connected a device to {meeting} at {at}"),
            EventType::SessionEnded => format!("← {who} disconnected a device from {meeting} at {at}"),
            EventType::WatchGap => self.gap(event.gap.as_ref(), &meeting),
            EventType::EventRetracted => {
                let about = if event.participant.is_some() { format!("{who} in {meeting}") } else { meeting };
                format!("↩ an earlier message about {about} is taken back: it was not so")
            }
            EventType::WebhookTest => format!("✓ a test from meetwatch at {at}"),
        };
        if event.corrects.is_some() {
            text.push_str(" (corrects an earlier message)");
        }
        if event.provenance == Provenance::Inferred && event.event != EventType::EventRetracted {
            text.push_str(" (inferred; Google has not said so)");
        }
        text
    }

    fn gap(&self, gap: Option<&Gap>, meeting: &str) -> String {
        let Some(gap) = gap else { return format!("… nobody could watch {meeting}") };
        let (from, to, reason) = (self.time(gap.from), self.time(gap.to), harmless(&gap.reason));
        format!("… {meeting} could not be watched from {from} to {to} ({reason})")
    }

    fn time(&self, time: Timestamp) -> String {
        // Without the date: chats show one beside each message.
        let zoned = time.to_zoned(self.zone.clone());
        zoned.strftime("%H:%M:%S %Z").to_string()
    }
}

fn who(event: &Event) -> String {
    let Some(person) = &event.participant else { return "somebody".to_owned() };
    let name = person.display_name.as_deref().map(harmless).filter(|name| !name.is_empty());
    let external = person.affiliation == Some(crate::model::event::Affiliation::External);
    let note = match person.kind {
        ParticipantKind::Anonymous => " (guest)",
        ParticipantKind::Phone => " (phone)",
        ParticipantKind::SignedIn if external => " (external)",
        ParticipantKind::SignedIn | ParticipantKind::Unknown => "",
    };
    match (name, person.kind) {
        (Some(name), _) => format!("{name}{note}"),
        (None, ParticipantKind::Anonymous) => "a guest".to_owned(),
        (None, ParticipantKind::Phone) => "somebody by phone".to_owned(),
        (None, _) => "somebody".to_owned(),
    }
}

/// Returns the meeting's target names and its code.
fn meeting(event: &Event) -> String {
    let targets: Vec<String> = event.targets.iter().take(3).map(|target| harmless(target.as_str())).collect();
    let code = event.conference.as_ref().and_then(|conference| conference.meeting_code.as_ref());
    match (targets.join(", "), code) {
        (names, Some(code)) if !names.is_empty() => format!("{names} ({code})"),
        (_, Some(code)) => format!("the meeting {code}"),
        (names, None) if !names.is_empty() => names,
        (_, None) => "a meeting".to_owned(),
    }
}

fn remain(event: &Event) -> String {
    match event.present {
        None => String::new(),
        Some(0) => "; nobody is present now".to_owned(),
        Some(1) => "; 1 is present now".to_owned(),
        Some(present) => format!("; {present} are present now"),
    }
}

fn stay(seconds: Option<f64>) -> String {
    seconds.map(|seconds| format!(" after {}", length(seconds))).unwrap_or_default()
}

fn length(seconds: f64) -> String {
    // A negative or infinite length saturates at zero or the maximum; it is only shown.
    match seconds.round() as u64 {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7199 => format!("{} min", (seconds + 30) / 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

fn crowd(attendance: Option<&Attendance>) -> String {
    attendance.map(|all| format!("; {} took part, {} at most at a time", all.total, all.peak)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::sample::samples;
    use super::*;

    fn berlin() -> Sentence {
        Sentence::new(TimeZone::get("Europe/Berlin").unwrap())
    }

    #[test]
    fn every_event_type_has_a_sentence() {
        let sentences: Vec<String> = samples().iter().map(|event| berlin().of(event)).collect();
        let wanted = [
            "… board (abc-mnop-xyz) could not be watched from 11:00:02 CET to 11:00:02 CET (network) (corrects an earlier message)",
            "… board could not be watched from 11:00:02 CET to 11:00:02 CET (network) (inferred; Google has not said so)",
            "● board (abc-mnop-xyz) began at 11:00:02 CET (corrects an earlier message)",
            "● board began at 11:00:02 CET (inferred; Google has not said so)",
            "→ O'Brien \"‹ǃchannel›\" ＼ ｛｛ 7 ｝｝ ∗x∗ connected a device to board (abc-mnop-xyz) at 11:00:02 CET (corrects an earlier message)",
            "→ somebody connected a device to board at 11:00:02 CET (inferred; Google has not said so)",
            "→ O'Brien \"‹ǃchannel›\" ＼ ｛｛ 7 ｝｝ ∗x∗ joined board (abc-mnop-xyz) at 11:00:02 CET; 7 are present now (corrects an earlier message)",
            "→ somebody joined board at 11:00:02 CET; 7 are present now (inferred; Google has not said so)",
            "← O'Brien \"‹ǃchannel›\" ＼ ｛｛ 7 ｝｝ ∗x∗ left board (abc-mnop-xyz) at 11:00:02 CET after 31 min; 7 are present now (corrects an earlier message)",
            "← somebody left board at 11:00:02 CET after 31 min; 7 are present now (inferred; Google has not said so)",
            "← O'Brien \"‹ǃchannel›\" ＼ ｛｛ 7 ｝｝ ∗x∗ disconnected a device from board (abc-mnop-xyz) at 11:00:02 CET (corrects an earlier message)",
            "← somebody disconnected a device from board at 11:00:02 CET (inferred; Google has not said so)",
            "↩ an earlier message about O'Brien \"‹ǃchannel›\" ＼ ｛｛ 7 ｝｝ ∗x∗ in board (abc-mnop-xyz) is taken back: it was not so",
            "↩ an earlier message about somebody in board is taken back: it was not so",
            "■ board (abc-mnop-xyz) ended at 11:00:02 CET; 2 took part, 2 at most at a time (corrects an earlier message)",
            "■ board ended at 11:00:02 CET; 2 took part, 2 at most at a time (inferred; Google has not said so)",
            "✓ a test from meetwatch at 11:00:02 CET",
            "✓ a test from meetwatch at 11:00:02 CET (inferred; Google has not said so)",
        ];
        assert_eq!(sentences, wanted);
    }

    #[test]
    fn a_participant_without_a_name_is_described_by_kind() {
        let mut event = samples().into_iter().find(|event| event.event == EventType::ParticipantLeft).unwrap();
        for (kind, name, shown) in [
            (ParticipantKind::Anonymous, None, "← a guest left"),
            (ParticipantKind::Anonymous, Some("Grace"), "← Grace (guest) left"),
            (ParticipantKind::Phone, None, "← somebody by phone left"),
            (ParticipantKind::SignedIn, Some(" \u{200b}"), "← somebody left"),
        ] {
            let person = event.participant.as_mut().unwrap();
            (person.kind, person.display_name) = (kind, name.map(Into::into));
            let sentence = berlin().of(&event);
            assert!(sentence.starts_with(shown), "{sentence}");
        }
    }

    #[test]
    fn a_length_is_written_in_a_fitting_unit() {
        assert_eq!([0.4, 119.0, 125.0, 7260.0, -5.0].map(length), ["0 s", "119 s", "2 min", "2 h 1 min", "0 s"]);
    }
}
