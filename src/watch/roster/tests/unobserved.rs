//! Gaps: what is emitted, and what must not be inferred.

use super::*;

#[test]
fn a_gap_is_told_once_before_what_it_explains() {
    let mut scene = Scene::with_ada();
    let emitted = scene.list(200, &[("ada", 5), ("bo", 100)]);
    assert_eq!(types(&emitted), ["watch.gap"]);
    let gap = emitted[0].event.gap.clone().unwrap();
    assert_eq!((gap.from, gap.to, gap.reason.as_str()), (at(10), at(200), "network"));
    let emitted = scene.sessions(201, "bo", &[("b", 100, None)]);
    assert_eq!(emitted[1].event.provenance, Provenance::Backfilled, "it was in the gap");
    assert_eq!(types(&scene.list(210, &[("ada", 5), ("bo", 100)])), Vec::<&str>::new());
}

#[test]
fn a_gap_begins_the_count_of_a_suspect_anew() {
    let mut scene = Scene::with_ada();
    scene.list(20, &[]);
    scene.list(800, &[]);
    scene.list(810, &[]);
    scene.list(820, &[]);
    assert_eq!(types(&scene.record(821, None)), Vec::<&str>::new());
}

#[test]
fn an_event_in_any_of_several_gaps_is_backfilled() {
    let mut scene = Scene::with_ada();
    scene.list(75, &[("ada", 5)]);
    scene.list(140, &[("ada", 5), ("bo", 70), ("cy", 76)]);
    let emitted = scene.sessions(141, "bo", &[("b", 70, None)]);
    assert_eq!(emitted[1].event.provenance, Provenance::Backfilled, "in the first of two gaps");
    let emitted = scene.sessions(142, "cy", &[("c", 76, None)]);
    assert_eq!(emitted[1].event.provenance, Provenance::Backfilled, "in the second");
    scene.list(150, &[("ada", 5), ("bo", 70), ("cy", 76), ("di", 145)]);
    let emitted = scene.sessions(151, "di", &[("d", 145, None)]);
    assert_eq!(emitted[1].event.provenance, Provenance::Observed);
}

#[test]
fn a_shorter_interval_makes_no_gap_of_the_time_before() {
    let mut scene = Scene::new();
    scene.rules = rules_of(60);
    scene.list(10, &[]);
    scene.rules = rules_of(10);
    assert_eq!(types(&scene.list(130, &[])), Vec::<&str>::new(), "two intervals of a minute");
    assert_eq!(types(&scene.list(195, &[])), ["watch.gap"], "six of ten seconds");
}

#[test]
fn a_quick_restart_tells_no_gap_and_a_longer_one_tells_it_from_the_stored_listing() {
    let mut scene = Scene::with_ada();
    scene.restart();
    assert_eq!(types(&scene.list(69, &[("ada", 5)])), Vec::<&str>::new());
    scene.restart();
    let emitted = scene.list(129, &[("ada", 5)]);
    assert_eq!(types(&emitted), ["watch.gap"]);
    assert_eq!(emitted[0].event.gap.as_ref().map(|gap| (gap.from, gap.to)), Some((at(69), at(129))));
}

#[test]
fn no_leave_is_concluded_from_a_record_that_was_read_while_nobody_could_list() {
    let mut scene = Scene::with_ada();
    for now in [20, 30, 40] {
        scene.list(now, &[]);
    }
    assert_eq!(types(&scene.record(700, None)), Vec::<&str>::new(), "the last listing is eleven minutes old");
    assert_eq!(scene.roster.present(), 1);
}

#[test]
fn a_leave_that_is_inferred_after_a_restart_has_the_time_of_the_last_listing_that_showed_the_participant() {
    let mut scene = Scene::with_ada();
    scene.list(20, &[("ada", 5)]);
    scene.list(30, &[]);
    scene.restart();
    let mut emitted = Vec::new();
    for now in (40..=1000).step_by(10) {
        emitted.extend(scene.list(now, &[]));
        emitted.extend(scene.record(now, None));
    }
    assert_eq!(types(&emitted), ["participant.left", "session.ended"]);
    assert_eq!((emitted[0].event.time, emitted[0].event.provenance), (at(20), Provenance::Inferred));
}
