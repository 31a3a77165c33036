//! The rules of the roster, each by name.

mod edges;
mod unobserved;
mod unreadable;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::stored::stored;
use super::{Directory, EmittedEvent, Moment, Observation, Roster, RosterRules, Seen};
use crate::clock::Now;
use crate::model::{
    Conference, ConferenceName, EventType, IdentityName, Participant, ParticipantKind, ParticipantName, Provenance,
    Session, SessionName, Source,
};

const CONFERENCE: &str = "conferenceRecords/c";

/// Seconds after ten o'clock.
fn at(seconds: i64) -> Timestamp {
    "2026-01-05T10:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

fn person(id: &str) -> ParticipantName {
    ParticipantName::parse(&format!("{CONFERENCE}/participants/{id}")).unwrap()
}

fn session(owner: &str, id: &str, start: i64, end: Option<i64>) -> Session {
    let name = SessionName::parse(&format!("{CONFERENCE}/participants/{owner}/participantSessions/{id}")).unwrap();
    Session { name, start: at(start), end: end.map(at) }
}

fn participant(id: &str, start: i64, end: Option<i64>) -> Participant {
    Participant {
        name: person(id),
        kind: ParticipantKind::Anonymous,
        user: None,
        display_name: Some(id.into()),
        earliest_start: Some(at(start)),
        latest_end: end.map(at),
    }
}

/// The rules for a listing every `interval` seconds.
fn rules_of(interval: u64) -> RosterRules {
    RosterRules::new(Duration::from_secs(interval), Duration::from_secs(60), Duration::from_secs(600))
}

/// One conference, and every event of it.
struct Scene {
    roster: Roster,
    log: Vec<EmittedEvent>,
    by: IdentityName,
    rules: RosterRules,
}

impl Scene {
    fn new() -> Self {
        let roster = Roster::new(ConferenceName::parse(CONFERENCE).unwrap(), None, None, at(0));
        let rules = rules_of(10);
        let mut scene = Self { roster, log: Vec::new(), by: IdentityName::parse("one").unwrap(), rules };
        scene.record(0, None);
        scene
    }

    fn see(&mut self, now: i64, seen: Seen) -> Vec<EmittedEvent> {
        self.see_as(now, seen, true)
    }

    fn see_as(&mut self, now: i64, seen: Seen, complete: bool) -> Vec<EmittedEvent> {
        let mono = Duration::from_secs(u64::try_from(now).unwrap() + 1000);
        let moment = Moment { now: Now { mono, wall: at(now) }, google: at(now) };
        let observation = Observation { moment, by: self.by.clone(), seen, complete };
        let outcome = self.roster.observe(&observation, &Directory::default(), &self.rules);
        let again = outcome.roster.observe(&observation, &Directory::default(), &self.rules);
        assert_eq!(again.emitted, Vec::new(), "observing the same observation twice emits nothing twice");
        self.roster = outcome.roster;
        self.log.extend(outcome.emitted.clone());
        outcome.emitted
    }

    fn record(&mut self, now: i64, end: Option<i64>) -> Vec<EmittedEvent> {
        let name = ConferenceName::parse(CONFERENCE).unwrap();
        self.see(now, Seen::Record(Conference { name, space: None, start: at(0), end: end.map(at), expire: None }))
    }

    fn list(&mut self, now: i64, people: &[(&str, i64)]) -> Vec<EmittedEvent> {
        let participants = people.iter().map(|(id, start)| participant(id, *start, None)).collect();
        self.see(now, Seen::Active { participants, reason: "network" })
    }

    fn sessions(&mut self, now: i64, owner: &str, sessions: &[(&str, i64, Option<i64>)]) -> Vec<EmittedEvent> {
        let sessions = sessions.iter().map(|(id, start, end)| session(owner, id, *start, *end)).collect();
        self.see(now, Seen::Sessions { participant: person(owner), sessions, all: true })
    }

    /// A scene in which Ada joined at 5 and is present.
    fn with_ada() -> Self {
        let mut scene = Self::new();
        scene.list(10, &[("ada", 5)]);
        scene.sessions(11, "ada", &[("s1", 5, None)]);
        scene
    }

    fn wants(&self, owner: &str) -> bool {
        self.roster.rechecks().contains_key(&person(owner))
    }

    fn restart(&mut self) {
        let stored = stored(&self.roster, &self.log, &self.by);
        self.roster = Roster::restore(stored, Duration::from_secs(5000));
    }
}

fn types(emitted: &[EmittedEvent]) -> Vec<&'static str> {
    emitted.iter().map(|emitted| emitted.event.event.as_str()).collect()
}

#[test]
fn a_join_is_told_with_the_session_that_made_it() {
    let mut scene = Scene::new();
    assert_eq!(types(&scene.list(10, &[("ada", 5)])), Vec::<&str>::new());
    let emitted = scene.sessions(11, "ada", &[("s1", 5, None)]);
    assert_eq!(types(&emitted), ["session.started", "participant.joined"]);
    assert_eq!(emitted[1].event.time, at(5));
    assert_eq!(emitted[1].event.present, Some(1));
    assert_eq!(emitted[1].event.provenance, Provenance::Observed);
    assert!(emitted[1].event.session.is_some());
}

#[test]
fn sequence_has_no_hole() {
    let mut scene = Scene::with_ada();
    scene.list(20, &[]);
    scene.sessions(21, "ada", &[("s1", 5, Some(18))]);
    let sequence: Vec<_> = scene.log.iter().map(|emitted| emitted.event.sequence.unwrap()).collect();
    assert_eq!(sequence, (1..=5).collect::<Vec<_>>());
    assert_eq!(types(&scene.log).last(), Some(&"session.ended"));
}

#[test]
fn a_person_missing_from_a_listing_has_not_left_until_google_says_so() {
    let mut scene = Scene::with_ada();
    assert_eq!(types(&scene.list(20, &[])), Vec::<&str>::new());
    assert!(scene.wants("ada"));
    assert_eq!(types(&scene.sessions(21, "ada", &[("s1", 5, None)])), Vec::<&str>::new());
    assert!(scene.wants("ada"), "read again later");
    let emitted = scene.sessions(31, "ada", &[("s1", 5, Some(19))]);
    assert_eq!(types(&emitted), ["participant.left", "session.ended"]);
    assert_eq!(emitted[0].event.seconds_present, Some(14.0));
    assert!(!scene.wants("ada"));
}

#[test]
fn a_second_device_raises_only_session_facts() {
    let mut scene = Scene::with_ada();
    assert_eq!(types(&scene.sessions(20, "ada", &[("s1", 5, None), ("s2", 15, None)])), ["session.started"]);
    assert_eq!(types(&scene.sessions(30, "ada", &[("s1", 5, Some(25)), ("s2", 15, None)])), ["session.ended"]);
    assert_eq!(scene.roster.present(), 1);
}

#[test]
fn a_rejoin_is_a_new_presence_with_its_own_time() {
    let mut scene = Scene::with_ada();
    let emitted = scene.sessions(60, "ada", &[("s1", 5, Some(40)), ("s2", 50, None)]);
    assert_eq!(types(&emitted), ["participant.left", "session.ended", "session.started", "participant.joined"]);
    assert_eq!(emitted[3].event.time, at(50));
    assert_eq!(emitted[0].event.present, Some(0));
    assert_eq!(emitted[3].event.present, Some(1));
}

#[test]
fn touching_sessions_are_one_presence() {
    let mut scene = Scene::with_ada();
    let emitted = scene.sessions(60, "ada", &[("s1", 5, Some(40)), ("s2", 40, None)]);
    assert_eq!(types(&emitted), ["session.started", "session.ended"]);
}

#[test]
fn without_a_readable_session_a_join_is_told_from_the_participant_and_is_the_same_event() {
    let mut scene = Scene::new();
    scene.list(10, &[("ada", 5)]);
    assert_eq!(types(&scene.list(20, &[("ada", 5)])), Vec::<&str>::new());
    let emitted = scene.list(30, &[("ada", 5)]);
    assert_eq!(types(&emitted), ["participant.joined"]);
    assert_eq!(emitted[0].event.session, None);
    assert_eq!(types(&scene.sessions(31, "ada", &[("s1", 5, None)])), ["session.started"]);

    let mut prompt = Scene::new();
    prompt.list(10, &[("ada", 5)]);
    let with_session = prompt.sessions(11, "ada", &[("s1", 5, None)]);
    assert_eq!(with_session[1].event.id, emitted[0].event.id);
}

#[test]
fn an_earlier_overlapping_session_corrects_the_join() {
    let mut scene = Scene::with_ada();
    let first =
        scene.log.iter().find(|emitted| emitted.event.event == EventType::ParticipantJoined).unwrap().event.id.clone();
    let emitted = scene.sessions(20, "ada", &[("s0", 2, Some(8)), ("s1", 5, None)]);
    assert_eq!(types(&emitted), ["session.started", "participant.joined", "session.ended"]);
    assert_eq!(emitted[1].event.corrects, Some(first));
    assert_eq!(emitted[1].event.present, Some(1), "a correction changes nobody's presence");
}

#[test]
fn a_bridge_between_two_presences_takes_the_edges_between_back() {
    let mut scene = Scene::with_ada();
    scene.sessions(60, "ada", &[("s1", 5, Some(40)), ("s2", 50, None)]);
    let left =
        scene.log.iter().find(|emitted| emitted.event.event == EventType::ParticipantLeft).unwrap().event.clone();
    let emitted = scene.sessions(70, "ada", &[("s1", 5, Some(40)), ("s2", 50, None), ("s3", 30, Some(55))]);
    assert_eq!(types(&emitted), ["session.started", "event.retracted", "event.retracted", "session.ended"]);
    assert_eq!(emitted[1].event.retracts, Some(left.id));
    assert_eq!(emitted[1].event.session, left.session);
    assert_eq!(emitted[2].event.present, Some(1));
    assert_eq!(scene.roster.present(), 1);
}

fn inferred() -> Scene {
    let mut scene = Scene::with_ada();
    scene.list(20, &[("ada", 5)]);
    for now in (30..=660).step_by(10) {
        scene.list(now, &[]);
        let emitted = scene.record(now, None);
        if now < 630 {
            assert_eq!(types(&emitted), Vec::<&str>::new(), "at {now}");
        } else if now == 630 {
            assert_eq!(types(&emitted), ["participant.left", "session.ended"]);
            assert_eq!(emitted[0].event.provenance, Provenance::Inferred);
            assert_eq!(emitted[0].event.time, at(20), "the last listing that showed her");
        }
    }
    scene
}

#[test]
fn a_leave_is_concluded_only_after_the_grace() {
    assert_eq!(inferred().roster.present(), 0);
}

#[test]
fn a_concluded_leave_is_corrected_by_googles_end() {
    let mut scene = inferred();
    let left =
        scene.log.iter().find(|emitted| emitted.event.event == EventType::ParticipantLeft).unwrap().event.id.clone();
    let emitted = scene.sessions(700, "ada", &[("s1", 5, Some(24))]);
    assert_eq!(types(&emitted), ["participant.left", "session.ended"]);
    assert_eq!(emitted[0].event.corrects, Some(left));
    assert_eq!(emitted[0].event.time, at(24));
}

#[test]
fn a_concluded_leave_is_taken_back_when_the_person_turns_up() {
    let mut scene = inferred();
    scene.list(700, &[("ada", 5)]);
    assert!(scene.wants("ada"));
    let emitted = scene.sessions(701, "ada", &[("s1", 5, None)]);
    assert_eq!(types(&emitted), ["event.retracted", "event.retracted"]);
    assert_eq!(scene.roster.present(), 1);
}

#[test]
fn absence_counts_only_under_the_identity_that_saw_the_person() {
    let mut scene = Scene::with_ada();
    scene.by = IdentityName::parse("two").unwrap();
    for now in (20..=900).step_by(10) {
        scene.list(now, &[]);
        assert_eq!(types(&scene.record(now, None)), Vec::<&str>::new());
    }
    assert_eq!(scene.roster.present(), 1);
}

#[test]
fn the_end_is_told_with_the_attendance_after_everything_was_read() {
    let mut scene = Scene::with_ada();
    assert_eq!(types(&scene.record(100, Some(95))), Vec::<&str>::new());
    let left = scene.see(
        101,
        Seen::Everybody {
            participants: vec![participant("ada", 5, Some(95)), participant("bo", 20, Some(22))],
            reason: "",
        },
    );
    assert_eq!(types(&left), ["watch.gap", "participant.left"]);
    assert_ne!(left[1].event.provenance, Provenance::Inferred, "the participant has an end of Google's");
    scene.sessions(102, "ada", &[("s1", 5, None)]);
    let flash = scene.sessions(103, "bo", &[("b", 20, Some(22))]);
    assert_eq!(types(&flash), ["session.started", "participant.joined", "participant.left", "session.ended"]);
    let emitted = scene.see(104, Seen::Complete);
    assert_eq!(types(&emitted), ["session.ended", "conference.ended"]);
    assert_eq!(emitted[0].event.provenance, Provenance::Inferred, "Google left the session open");
    let attendance = emitted[1].event.attendance.clone().unwrap();
    assert_eq!((attendance.peak, attendance.total), (2, 2));
    let rows = attendance.participants.unwrap();
    assert_eq!((rows[0].seconds_present, rows[0].sessions), (90.0, 1));
    assert_eq!(rows[1].seconds_present, 2.0);
}

#[test]
fn what_comes_late_is_followed_by_an_end_that_corrects_the_first() {
    let mut scene = Scene::with_ada();
    scene.record(100, Some(95));
    scene.sessions(102, "ada", &[("s1", 5, Some(95))]);
    let first = scene.see(104, Seen::Complete);
    assert_eq!(types(&scene.see(600, Seen::Complete)), Vec::<&str>::new(), "nothing new, nothing emitted");
    scene.sessions(700, "ada", &[("s1", 5, Some(95)), ("s2", 3, Some(7))]);
    let second = scene.see(704, Seen::Complete);
    assert_eq!(types(&second), ["conference.ended"]);
    assert_eq!(second[0].event.corrects, Some(first[0].event.id.clone()));
}

#[test]
fn a_restart_changes_and_tells_nothing() {
    let mut scene = Scene::with_ada();
    scene.list(20, &[("ada", 5), ("bo", 15)]);
    scene.sessions(21, "bo", &[("b1", 15, None)]);
    scene.sessions(40, "bo", &[("b1", 15, Some(30)), ("b2", 35, None)]);
    scene.sessions(41, "ada", &[("s0", 3, Some(6)), ("s1", 5, None)]);
    let emitted = scene.log.len();
    scene.restart();
    assert_eq!(scene.roster.present(), 2);
    scene.list(45, &[("ada", 3), ("bo", 15)]);
    scene.sessions(46, "bo", &[("b1", 15, Some(30)), ("b2", 35, None)]);
    scene.sessions(47, "ada", &[("s0", 3, Some(6)), ("s1", 5, None)]);
    assert_eq!(scene.log.len(), emitted);
    scene.sessions(60, "bo", &[("b1", 15, Some(30)), ("b2", 35, Some(50))]);
    assert_eq!(scene.roster.present(), 1);
}

#[test]
fn what_google_said_ends_up_the_same_in_whatever_order_it_was_read() {
    let readings: [&[(&str, i64, Option<i64>)]; 4] = [
        &[("s1", 5, None)],
        &[("s1", 5, Some(40)), ("s2", 50, None)],
        &[("s1", 5, Some(45)), ("s2", 48, Some(70))],
        &[("s3", 44, Some(49))],
    ];
    let mut ends = Vec::new();
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2]] {
        let mut scene = Scene::new();
        scene.list(10, &[("ada", 5)]);
        for (step, reading) in order.into_iter().enumerate() {
            scene.sessions(100 + i64::try_from(step).unwrap(), "ada", readings[reading]);
        }
        let person = &scene.roster.participants()[&person("ada")];
        ends.push(
            person.sessions().iter().map(|known| (known.name.clone(), known.start, known.end)).collect::<Vec<_>>(),
        );
    }
    assert!(ends.windows(2).all(|pair| pair[0] == pair[1]), "{ends:?}");
}

#[test]
fn ids_are_unique() {
    let mut scene = inferred();
    scene.list(700, &[("ada", 5)]);
    scene.sessions(701, "ada", &[("s1", 5, None)]);
    for now in (710..=1400).step_by(10) {
        scene.list(now, &[]);
        scene.record(now, None);
    }
    scene.sessions(1500, "ada", &[("s1", 5, Some(705))]);
    let mut ids: Vec<_> = scene.log.iter().map(|emitted| emitted.event.id.clone()).collect();
    let emitted = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), emitted);
    assert_eq!(scene.roster.present(), 0);
}
