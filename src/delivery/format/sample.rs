//! Events that never happened: the `webhook.test` that an operator sends to an endpoint, and samples of every type, with
//! which a template is tried before it is used.

use jiff::Timestamp;

use crate::model::event::Affiliation;
use crate::model::event_id::Edge;
use crate::model::{
    Attendance, AttendanceRow, ConferenceName, ConferenceRef, Event, EventKey, EventType, Gap, MeetingCode,
    ParticipantKind, ParticipantName, ParticipantRef, Provenance, SessionName, SessionRef, Source, SpaceName,
    TargetName, UserName,
};

/// A name with markup of every kind: it shows where escaping is missing.
const AWKWARD_NAME: &str = "O'Brien \"<!channel>\" \\ {{ 7 }} \u{202e}*x*\n";

/// Returns a `webhook.test` event. `about` is the name of the endpoint that it is sent to.
#[must_use]
pub fn test_event(about: &str, now: Timestamp) -> Event {
    let event = EventType::WebhookTest;
    let key = EventKey { event, resource: about, edge: Edge::Time(now), source: Source::Google, n: 0 };
    Event::new(key.id(), event, now, now, Provenance::Observed)
}

/// Returns two events of every type: one with every field and an awkward name, one with the fewest fields.
#[must_use]
pub fn samples() -> Vec<Event> {
    EventType::ALL.into_iter().flat_map(|event| [full(event), least(event)]).flatten().collect()
}

fn time() -> Timestamp {
    Timestamp::new(1_767_607_202, 123_456_000).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn full(event: EventType) -> Option<Event> {
    let base = test_event("sample", time());
    if event == EventType::WebhookTest {
        return Some(base);
    }
    let is_of = |family: &str| event.as_str().starts_with(family);
    let of_a_person = is_of("participant.") || is_of("session.") || event == EventType::EventRetracted;
    Some(Event {
        event,
        sequence: Some(17),
        targets: vec![TargetName::parse("board").ok()?],
        conference: Some(ConferenceRef {
            name: ConferenceName::parse("conferenceRecords/abc-123").ok()?,
            space: SpaceName::parse("spaces/jQCFfuBOdN5z").ok(),
            meeting_code: MeetingCode::parse("abc-mnop-xyz").ok(),
            start_time: time(),
        }),
        participant: if of_a_person { Some(person(AWKWARD_NAME)?) } else { None },
        session: if of_a_person { Some(session()?) } else { None },
        present: Some(7),
        corrects: (event != EventType::EventRetracted).then(|| base.id.clone()),
        retracts: (event == EventType::EventRetracted).then(|| base.id.clone()),
        seconds_present: (event == EventType::ParticipantLeft).then_some(1834.5),
        attendance: if event == EventType::ConferenceEnded { Some(attendance()?) } else { None },
        attendance_path: None,
        gap: (event == EventType::WatchGap).then(|| Gap { from: time(), to: time(), reason: "network".to_owned() }),
        ..base
    })
}

fn least(event: EventType) -> Option<Event> {
    let full = full(event)?;
    let unnamed = |person: ParticipantRef| ParticipantRef {
        user: None,
        display_name: None,
        email: None,
        affiliation: None,
        ..person
    };
    let without_list = |all: Attendance| Attendance { participants: None, ..all };
    let is_gap = event == EventType::WatchGap;
    Some(Event {
        provenance: Provenance::Inferred,
        conference: full.conference.filter(|_| !is_gap).map(|known| ConferenceRef {
            space: None,
            meeting_code: None,
            ..known
        }),
        sequence: full.sequence.filter(|_| !is_gap),
        participant: full.participant.map(unnamed),
        session: full.session.filter(|_| event == EventType::SessionStarted || event == EventType::SessionEnded),
        present: full.present.filter(|_| !is_gap),
        corrects: None,
        attendance_path: full.attendance.as_ref().map(|_| "/api/v1/conferenceRecords/abc-123/attendance".to_owned()),
        attendance: full.attendance.map(without_list),
        ..full
    })
}

fn person(name: &str) -> Option<ParticipantRef> {
    Some(ParticipantRef {
        name: ParticipantName::parse("conferenceRecords/abc-123/participants/112233").ok()?,
        kind: ParticipantKind::SignedIn,
        user: UserName::parse("users/112233").ok(),
        display_name: Some(name.into()),
        email: Some("obrien@example.com".into()),
        affiliation: Some(Affiliation::Internal),
    })
}

fn session() -> Option<SessionRef> {
    let name = "conferenceRecords/abc-123/participants/112233/participantSessions/7";
    Some(SessionRef { name: SessionName::parse(name).ok()?, start_time: time(), end_time: Some(time()) })
}

fn attendance() -> Option<Attendance> {
    let row = |participant| AttendanceRow {
        participant,
        first_join: time(),
        last_leave: time(),
        seconds_present: 60.0,
        sessions: 1,
    };
    let guest = ParticipantRef {
        name: ParticipantName::parse("conferenceRecords/abc-123/participants/guest").ok()?,
        kind: ParticipantKind::Anonymous,
        user: None,
        email: None,
        affiliation: None,
        ..person("Grace")?
    };
    Some(Attendance { peak: 2, total: 2, participants: Some(vec![row(person(AWKWARD_NAME)?), row(guest)]) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_full_and_a_minimal_event_of_every_type() {
        let samples = samples();
        for event in EventType::ALL {
            assert_eq!(samples.iter().filter(|sample| sample.event == event).count(), 2, "{event:?}");
        }
        for sample in samples {
            let text = serde_json::to_string(&sample).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), sample);
        }
    }
}
