//! Answers of which a part cannot be read: what is readable is told, and nothing follows from what is missing.

use super::*;

impl Scene {
    fn sessions_in_part(&mut self, now: i64, owner: &str, readable: &[(&str, i64, Option<i64>)]) -> Vec<EmittedEvent> {
        let sessions = readable.iter().map(|(id, start, end)| session(owner, id, *start, *end)).collect();
        self.see_as(now, Seen::Sessions { participant: person(owner), sessions, all: true }, false)
    }

    fn list_in_part(&mut self, now: i64, people: &[(&str, i64)]) -> Vec<EmittedEvent> {
        let participants = people.iter().map(|(id, start)| participant(id, *start, None)).collect();
        self.see_as(now, Seen::Active { participants, reason: "network" }, false)
    }

    /// Lists somebody without a start.
    fn list_without_start(&mut self, now: i64, id: &str) -> Vec<EmittedEvent> {
        let participant = Participant { earliest_start: None, ..participant(id, 0, None) };
        self.see(now, Seen::Active { participants: vec![participant], reason: "network" })
    }
}

/// The type, the time and the source of each event.
fn facts(emitted: &[EmittedEvent]) -> Vec<(&'static str, Timestamp, Source)> {
    emitted.iter().map(|one| (one.event.event.as_str(), one.event.time, one.source)).collect()
}

#[test]
fn while_a_session_cannot_be_read_the_end_of_another_is_told_and_no_leave() {
    let mut scene = Scene::with_ada();
    let emitted = scene.sessions_in_part(20, "ada", &[("s1", 5, Some(15))]);
    assert_eq!(facts(&emitted), [("session.ended", at(15), Source::Google)], "another session may be open");
    assert_eq!(scene.roster.present(), 1);
    let emitted = scene.sessions(30, "ada", &[("s1", 5, Some(15))]);
    assert_eq!(facts(&emitted), [("participant.left", at(15), Source::Google)], "there is none");
}

#[test]
fn a_leave_that_was_held_back_is_told_with_the_end_of_the_participant() {
    for restarts in [false, true] {
        let mut scene = Scene::with_ada();
        scene.sessions_in_part(20, "ada", &[("s1", 5, Some(15))]);
        if restarts {
            scene.restart();
        }
        assert_eq!(scene.list(30, &[("ada", 5)]), Vec::new());
        assert_eq!(scene.list(40, &[]), Vec::new());
        assert!(scene.wants("ada"));
        let emitted = scene.see(50, Seen::Participants(vec![participant("ada", 5, Some(37))]));
        assert_eq!(facts(&emitted), [("participant.left", at(37), Source::Google)]);
        assert_eq!(scene.sessions_in_part(60, "ada", &[("s1", 5, Some(15))]), Vec::new());
    }
}

#[test]
fn a_leave_that_was_told_stays_when_the_sessions_cannot_be_read_any_more() {
    let mut scene = Scene::with_ada();
    scene.sessions(20, "ada", &[("s1", 5, Some(15))]);
    assert_eq!(scene.sessions_in_part(30, "ada", &[("s1", 5, Some(15))]), Vec::new());
    assert_eq!(scene.sessions_in_part(40, "ada", &[]), Vec::new());
    assert_eq!(scene.roster.present(), 0);
}

#[test]
fn what_stays_unreadable_ends_with_the_conference_as_inferred() {
    let mut scene = Scene::with_ada();
    scene.sessions_in_part(20, "ada", &[("s1", 5, Some(15))]);
    scene.record(100, Some(95));
    scene.sessions_in_part(101, "ada", &[("s1", 5, Some(15))]);
    let emitted = scene.see(102, Seen::Complete);
    assert_eq!(
        facts(&emitted),
        [("participant.left", at(95), Source::Inferred), ("conference.ended", at(95), Source::Google)]
    );
    scene.restart();
    assert_eq!(scene.see(700, Seen::Complete), Vec::new(), "a restart changes nothing");
}

#[test]
fn somebody_of_whom_no_session_can_be_read_joins_and_leaves_with_the_participant() {
    let mut scene = Scene::new();
    scene.list(10, &[("ada", 5)]);
    scene.sessions_in_part(11, "ada", &[]);
    assert_eq!(facts(&scene.list(30, &[("ada", 5)])), [("participant.joined", at(5), Source::Google)]);
    scene.list(40, &[]);
    let emitted = scene.see(50, Seen::Participants(vec![participant("ada", 5, Some(37))]));
    assert_eq!(facts(&emitted), [("participant.left", at(37), Source::Google)]);
}

#[test]
fn nobody_is_missing_from_a_listing_with_an_item_that_cannot_be_read() {
    let mut scene = Scene::with_ada();
    let mut now = 20;
    while now < 2000 {
        scene.list_in_part(now, &[("bo", 15)]);
        scene.record(now + 1, None);
        now += 10;
    }
    let told = types(&scene.log);
    assert!(told.contains(&"participant.joined") && !told.contains(&"participant.left"), "{told:?}");
    assert!(!told.contains(&"watch.gap"), "the conference was observed: {told:?}");
    assert_eq!(scene.roster.present(), 2, "bo's join was told");
    scene.sessions(2001, "ada", &[("s1", 5, Some(1990))]);
    assert_eq!(scene.roster.present(), 1, "what Google shows of the end holds");
}

#[test]
fn a_list_of_everybody_shows_leaves_and_who_is_not_on_one_that_could_not_be_read_whole_is_not_missing() {
    for complete in [true, false] {
        let mut scene = Scene::with_ada();
        let mut now = 20;
        while now < 2000 {
            let participants = vec![participant("bo", 15, Some(18)), participant("cy", 16, None)];
            scene.see_as(now, Seen::Everybody { participants, reason: "" }, complete);
            scene.record(now + 1, None);
            now += 10;
        }
        let left =
            |source| facts(&scene.log).iter().filter(|told| told.0 == "participant.left" && told.2 == source).count();
        assert_eq!(left(Source::Google), 1, "bo's end is Google's: {:?}", types(&scene.log));
        assert_eq!(left(Source::Inferred), usize::from(complete), "ada is missing only from a whole list");
    }
}

#[test]
fn a_participant_with_neither_start_nor_session_is_told_from_first_sight_as_inferred() {
    let mut scene = Scene::new();
    assert_eq!(scene.list_without_start(10, "eve"), Vec::new());
    assert_eq!(scene.sessions(11, "eve", &[]), Vec::new());
    let emitted = scene.list_without_start(30, "eve");
    assert_eq!(facts(&emitted), [("participant.joined", at(10), Source::Inferred)]);
    assert_eq!(emitted[0].event.provenance, Provenance::Inferred);
    scene.restart();
    assert_eq!(scene.list_without_start(40, "eve"), Vec::new(), "a restart changes nothing");
    let corrected = scene.sessions(50, "eve", &[("s1", 8, None)]);
    assert_eq!(
        facts(&corrected),
        [("session.started", at(8), Source::Google), ("participant.joined", at(8), Source::Google)]
    );
    assert_eq!(corrected[1].event.corrects, Some(emitted[0].event.id.clone()));
}

#[test]
fn a_participant_without_start_leaves_when_google_shows_the_end() {
    let mut scene = Scene::new();
    scene.list_without_start(10, "eve");
    scene.list_without_start(30, "eve");
    scene.list(40, &[]);
    let gone = Participant { earliest_start: None, ..participant("eve", 0, Some(36)) };
    assert_eq!(facts(&scene.see(50, Seen::Participants(vec![gone]))), [("participant.left", at(36), Source::Google)]);
}
