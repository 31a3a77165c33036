//! Rare cases.

use super::*;

fn retold(scene: &mut Scene, at: i64) -> Vec<EmittedEvent> {
    scene.see(at, Seen::Complete)
}

#[test]
fn an_end_before_its_own_start_ends_up_the_same_in_either_order() {
    let readings = [("s1", 10, Some(5)), ("s1", 3, Some(5))];
    let end_of = |order: [usize; 2]| {
        let mut scene = Scene::new();
        scene.list(10, &[("ada", 3)]);
        for (n, reading) in order.into_iter().enumerate() {
            scene.sessions(11 + i64::try_from(n).unwrap(), "ada", &[readings[reading]]);
        }
        let known = scene.roster.participants()[&person("ada")].sessions()[0].clone();
        (known.start, known.end)
    };
    assert_eq!(end_of([0, 1]), end_of([1, 0]));
    assert_eq!(end_of([0, 1]).1, Some((at(10), Source::Google)));
}

#[test]
fn one_listing_counts_once_however_often_it_is_observed() {
    let mut scene = Scene::with_ada();
    scene.list(20, &[]);
    // The scene makes every observation twice.
    let listing_status = scene.roster.participants()[&person("ada")].listing_status.clone();
    let missed = if let crate::watch::roster::listing_status::ListingStatus::Missing { missed, .. } = listing_status {
        missed
    } else {
        0
    };
    assert_eq!(missed, 1, "ada is missing");
    let again = scene.roster.observe(
        &Observation {
            moment: Moment { now: Now { mono: Duration::from_secs(1020), wall: at(20) }, google: at(20) },
            by: scene.by.clone(),
            seen: Seen::Active { participants: Vec::new(), reason: "" },
            complete: true,
        },
        &Directory::default(),
        &RosterRules::new(Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(600)),
    );
    assert_eq!(missed, 1);
    assert_eq!(
        again.roster.participants()[&person("ada")].listing_status,
        scene.roster.participants()[&person("ada")].listing_status
    );
}

#[test]
fn no_gap_is_told_once_the_end_was() {
    let mut scene = Scene::with_ada();
    scene.record(100, Some(95));
    scene.sessions(102, "ada", &[("s1", 5, Some(95))]);
    retold(&mut scene, 104);
    let emitted = scene.see(704, Seen::Everybody { participants: Vec::new(), reason: "late" });
    assert_eq!(types(&emitted), Vec::<&str>::new(), "the conference was over in that time");
}

#[test]
fn whoever_joined_without_a_readable_session_leaves_with_the_end() {
    let mut scene = Scene::new();
    scene.list(10, &[("ada", 5)]);
    scene.record(12, Some(11));
    let emitted = retold(&mut scene, 13);
    assert_eq!(types(&emitted), ["participant.joined", "participant.left", "conference.ended"]);
    assert_eq!((emitted[1].event.time, emitted[1].event.provenance), (at(11), Provenance::Inferred));
    assert_eq!(emitted[2].event.present, Some(0));
}

#[test]
fn what_happened_in_a_gap_is_backfilled_after_a_restart_too() {
    let mut scene = Scene::with_ada();
    assert_eq!(types(&scene.list(100, &[("ada", 5), ("bo", 90)])), ["watch.gap"]);
    scene.restart();
    let emitted = scene.sessions(101, "bo", &[("b", 90, None)]);
    assert_eq!(emitted[0].event.provenance, Provenance::Backfilled);
}

#[test]
fn an_end_that_a_retraction_made_outdated_is_emitted_again_after_a_restart_too() {
    let mut scene = Scene::with_ada();
    scene.sessions(60, "ada", &[("s1", 5, Some(40)), ("s2", 50, Some(60))]);
    scene.record(100, Some(95));
    let first = retold(&mut scene, 104);
    let bridge = scene.sessions(700, "ada", &[("s3", 30, Some(55))]);
    let wanted = ["session.started", "event.retracted", "event.retracted", "session.ended", "participant.left"];
    assert_eq!(types(&bridge), wanted);
    scene.restart();
    let second = retold(&mut scene, 704);
    assert_eq!(types(&second), ["conference.ended"]);
    assert_eq!(second[0].event.corrects, Some(first[0].event.id.clone()));
    scene.restart();
    assert_eq!(types(&retold(&mut scene, 705)), Vec::<&str>::new());
}

#[test]
fn a_start_that_is_corrected_after_the_end_makes_the_end_outdated() {
    let mut scene = Scene::with_ada();
    scene.record(100, Some(95));
    retold(&mut scene, 104);
    let name = ConferenceName::parse(CONFERENCE).unwrap();
    let emitted =
        scene.see(110, Seen::Record(Conference { name, space: None, start: at(-5), end: Some(at(95)), expire: None }));
    assert_eq!(types(&emitted), ["conference.started"]);
    assert_eq!(types(&retold(&mut scene, 111)), ["conference.ended"]);
}

#[test]
fn an_end_that_moved_and_is_outdated_too_is_emitted_once() {
    let mut scene = Scene::with_ada();
    scene.record(100, Some(95));
    retold(&mut scene, 104);
    scene.sessions(110, "ada", &[("s1", 5, Some(95)), ("s2", 2, Some(4))]);
    scene.record(111, Some(97));
    assert_eq!(types(&retold(&mut scene, 112)), ["conference.ended"]);
}

#[test]
fn the_end_of_the_conference_is_the_last_of_what_is_told_with_it() {
    let mut scene = Scene::with_ada();
    scene.record(100, Some(95));
    scene.sessions(101, "ada", &[("s1", 5, Some(90)), ("s2", 97, None)]);
    let emitted = retold(&mut scene, 104);
    assert_eq!(types(&emitted), ["participant.left", "session.ended", "conference.ended"]);
    assert!(emitted[1].event.time > emitted[2].event.time, "Google's clock has its moods");
}

#[test]
fn after_a_restart_absence_counts_only_under_the_identity_that_saw_the_person() {
    let mut scene = Scene::with_ada();
    scene.by = IdentityName::parse("two").unwrap();
    // This identity sees the conference, and does not see Ada.
    scene.list(20, &[]);
    scene.restart();
    for now in (30..=900).step_by(10) {
        scene.list(now, &[]);
        assert_eq!(types(&scene.record(now, None)), Vec::<&str>::new());
    }
    assert_eq!(scene.roster.present(), 1);
}

#[test]
fn a_name_that_changes_is_no_event_and_shows_from_then_on() {
    let mut scene = Scene::with_ada();
    let renamed = Participant { display_name: Some("Ada L".into()), ..participant("ada", 5, None) };
    let emitted = scene.see(20, Seen::Active { participants: vec![renamed], reason: "late" });
    assert_eq!(types(&emitted), Vec::<&str>::new());
    let emitted = scene.sessions(21, "ada", &[("s1", 5, Some(19))]);
    assert_eq!(emitted[0].event.participant.as_ref().unwrap().display_name.as_deref(), Some("Ada L"));
}

#[test]
fn an_end_that_google_told_stays_though_the_person_is_there_again() {
    let mut scene = Scene::with_ada();
    scene.see(20, Seen::Participants(vec![participant("ada", 5, Some(18))]));
    scene.sessions(21, "ada", &[("s1", 5, Some(18))]);
    // On the rejoin the participant has no end any more, and a stale answer shows the session as open.
    scene.list(30, &[("ada", 5)]);
    assert_eq!(types(&scene.sessions(31, "ada", &[("s1", 5, None)])), Vec::<&str>::new());
    let emitted = scene.sessions(41, "ada", &[("s1", 5, Some(18)), ("s2", 28, None)]);
    assert_eq!(types(&emitted), ["session.started", "participant.joined"]);
    assert_eq!(emitted[1].event.time, at(28));
}

#[test]
fn a_missing_participant_whom_google_denies_three_times_has_left_without_the_grace() {
    let mut scene = Scene::with_ada();
    for now in [20, 40, 60, 80] {
        scene.list(now, &[]);
        assert_eq!(types(&scene.record(now, None)), Vec::<&str>::new(), "at {now}");
        if now > 40 {
            scene.see(now + 15, Seen::Unreadable { participant: person("ada"), not_found: true });
        }
    }
    // The third recheck is due 20 s after the second.
    scene.see(116, Seen::Unreadable { participant: person("ada"), not_found: true });
    let emitted = scene.record(117, None);
    assert_eq!(types(&emitted), ["participant.left", "session.ended"]);
    assert_eq!((emitted[0].event.time, emitted[0].event.provenance), (at(10), Provenance::Inferred));
}

#[test]
fn a_conference_that_is_given_up_ends_as_inferred_with_the_last_that_was_seen_of_it() {
    let mut scene = Scene::with_ada();
    assert_eq!(types(&scene.see(90_000, Seen::GivenUp)), Vec::<&str>::new());
    let emitted = retold(&mut scene, 90_001);
    assert_eq!(types(&emitted), ["participant.left", "session.ended", "conference.ended"]);
    for emitted in emitted {
        assert_eq!((emitted.event.time, emitted.event.provenance), (at(10), Provenance::Inferred));
    }
}

#[test]
fn an_unreadable_participant_emits_nothing_even_if_a_join_is_due() {
    let mut scene = Scene::new();
    scene.list(10, &[("ada", 5)]);
    let unread = Seen::Unreadable { participant: person("ada"), not_found: false };
    assert_eq!(types(&scene.see(30, unread)), Vec::<&str>::new(), "it is not committed, so it must not be emitted");
    assert!(scene.roster.rechecks()[&person("ada")].due > Duration::from_secs(1030), "read again later, not at once");
    assert_eq!(types(&scene.list(31, &[("ada", 5)])), ["participant.joined"]);
}

#[test]
fn a_leave_is_told_again_when_the_stay_that_it_ended_began_at_another_time() {
    let mut scene = Scene::with_ada();
    let emitted = scene.sessions(60, "ada", &[("s1", 5, Some(50))]);
    assert_eq!(
        (types(&emitted), emitted[0].event.seconds_present),
        (vec!["participant.left", "session.ended"], Some(45.0))
    );
    let first = emitted[0].event.id.clone();
    let emitted = scene.sessions(70, "ada", &[("s0", 2, Some(6)), ("s1", 5, Some(50))]);
    let left = emitted.iter().find(|one| one.event.event == EventType::ParticipantLeft).unwrap();
    assert_eq!((left.event.corrects.as_ref(), left.event.seconds_present), (Some(&first), Some(48.0)));
    assert_eq!(left.event.time, at(50));
    scene.restart();
    assert_eq!(scene.sessions(80, "ada", &[("s0", 2, Some(6)), ("s1", 5, Some(50))]), Vec::new());
}

#[test]
fn who_is_shown_again_after_a_restart_was_last_seen_then() {
    let mut scene = Scene::with_ada();
    scene.list(20, &[]);
    scene.restart();
    scene.list(4010, &[("ada", 5)]);
    for now in (4020..=4630).step_by(10) {
        scene.list(now, &[]);
    }
    let emitted = scene.record(4631, None);
    assert_eq!(types(&emitted), ["participant.left", "session.ended"]);
    assert_eq!(emitted[0].event.time, at(4010));
}
