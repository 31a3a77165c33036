//! A commit is written whole or not at all, and what was written is read back the same.

use jiff::Timestamp;
use meetwatch::model::event::Affiliation;
use meetwatch::model::{
    EventType, IdentityName, MeetingCode, ParticipantKind, Source, SpaceName, TargetName, UserName,
};
use meetwatch::store::{
    Commit, ConferenceQuery, ConferenceRow, EmittedRow, ParticipantRow, Phase, SessionRow, StoredConference, TargetRow,
    WriteError,
};

use super::{Backend, Durable, contract_tests};
use crate::store_samples::*;

contract_tests!(
    a_conference_is_read_by_name_alone_while_it_is_not_closed,
    a_later_commit_replaces_the_rows_it_names_and_leaves_the_others,
    a_commit_that_fails_half_way_leaves_nothing_and_takes_no_other_along,
    an_event_that_is_in_the_log_is_refused_and_nothing_is_doubled,
    a_sequence_neither_repeats_nor_leaves_a_hole,
    a_retracted_event_no_longer_stands_and_is_retracted_once,
    rows_of_a_conference_that_is_not_stored_are_refused,
    a_closed_conference_is_finished_and_not_loaded,
    the_gap_of_a_conference_is_loaded_with_it_and_a_targets_gap_with_no_conference,
    conferences_are_selected_by_a_half_open_interval_and_by_target,
    times_keep_their_nanoseconds_and_far_ones_do_not_overflow;
    durable: a_commit_is_read_back_the_same_after_a_restart
);

/// Returns a commit in which every column is set.
fn full() -> Commit {
    let mut joined = event("c", 1, &["ops"]);
    joined.session = Some(session("c", "p1", "s1"));
    joined.n = 3;
    joined.source = Source::Inferred;
    Commit {
        conference: Some(ConferenceRow {
            space: Some(SpaceName::parse("spaces/s").unwrap()),
            meeting_code: Some(MeetingCode::parse("abc-mnop-xyz").unwrap()),
            end: Some((at(60), Source::Inferred)),
            phase: Phase::Ended,
            identity: Some(IdentityName::parse("organizer").unwrap()),
            present: 4,
            last_listed: Some(at(61)),
            backfilled_to: Some(at(62)),
            final_read_due: Some(at(660)),
            ..conference_row("c", 1)
        }),
        participants: vec![
            participant_row("c", "p0"),
            ParticipantRow {
                kind: ParticipantKind::SignedIn,
                user: Some(UserName::parse("users/u").unwrap()),
                latest_end: Some(at(60)),
                email: Some("ada@example.com".into()),
                affiliation: Some(Affiliation::External),
                seen_by: Some(IdentityName::parse("organizer").unwrap()),
                ..participant_row("c", "p1")
            },
        ],
        sessions: vec![
            session_row("c", "p1", "s1"),
            SessionRow { end: Some((at(60), Source::Google)), ..session_row("c", "p1", "s2") },
        ],
        events: vec![joined],
        targets: vec![TargetRow {
            name: TargetName::parse("board").unwrap(),
            watched_since: at(-5),
            discovered_to: Some(at(50)),
            last_looked: None,
        }],
    }
}

fn stored(commit: &Commit, emitted: Vec<EmittedRow>) -> StoredConference {
    StoredConference {
        conference: commit.conference.clone().unwrap(),
        participants: commit.participants.clone(),
        sessions: commit.sessions.clone(),
        emitted,
    }
}

fn emitted(commit: &Commit, stands: bool) -> EmittedRow {
    let event = &commit.events[0];
    EmittedRow {
        event: event.event,
        participant: event.participant.clone(),
        session: event.session.clone(),
        time: event.time,
        observed_at: event.observed_at,
        provenance: event.provenance,
        source: event.source,
        n: event.n,
        sequence: event.sequence.unwrap(),
        stands,
    }
}

fn write(db: &mut impl Backend, commit: &Commit) -> Result<(), WriteError> {
    db.write(commit.clone(), noon())
}

fn a_commit_is_read_back_the_same_after_a_restart<B: Durable>() {
    let commit = full();
    let mut db = B::create();
    write(&mut db, &commit).unwrap();
    let db = db.reopen(at(1000));
    assert_eq!(db.load_unfinished().unwrap(), [stored(&commit, vec![emitted(&commit, true)])]);
    assert_eq!(db.targets().unwrap(), commit.targets);
    assert_eq!(db.log_after(0, 10).unwrap()[0].body, commit.events[0].body);
}

fn a_later_commit_replaces_the_rows_it_names_and_leaves_the_others<B: Backend>() {
    let mut db = B::create();
    let first = full();
    write(&mut db, &first).unwrap();
    let mut second = Commit {
        conference: first.conference.clone(),
        participants: vec![ParticipantRow { display_name: Some("Ada L".into()), ..participant_row("c", "p0") }],
        sessions: vec![SessionRow { end: Some((at(70), Source::Inferred)), ..session_row("c", "p1", "s1") }],
        ..Commit::default()
    };
    write(&mut db, &second).unwrap();

    second.participants.push(first.participants[1].clone());
    second.sessions.push(first.sessions[1].clone());
    assert_eq!(db.load_unfinished().unwrap(), [stored(&second, vec![emitted(&first, true)])]);
}

fn a_commit_that_fails_half_way_leaves_nothing_and_takes_no_other_along<B: Backend>() {
    let mut db = B::create();
    let mut bad = full();
    // Everything of it can be written except its last event.
    bad.events.push(bad.events[0].clone());
    bad.events[1].sequence = Some(2);
    bad.conference.as_mut().unwrap().last_sequence = 2;
    let good = joins("d", 1..=2, &["ops"]);
    let also_good = joins("e", 1..=1, &["ops"]);

    let results = db.write_all(vec![good, bad.clone(), also_good], noon());

    assert_eq!(results, [Ok(()), Err(WriteError::Duplicate(bad.events[0].id.clone())), Ok(())]);
    let names: Vec<_> = db.load_unfinished().unwrap().into_iter().map(|stored| stored.conference.name).collect();
    assert_eq!(names, [conference("d"), conference("e")]);
    assert!(db.targets().unwrap().is_empty());
    assert_eq!(db.log_after(0, 10).unwrap().len(), 3);
    assert_eq!(db.outbox_summary().unwrap()[0].pending, 3);
}

fn an_event_that_is_in_the_log_is_refused_and_nothing_is_doubled<B: Backend>() {
    let mut db = B::create();
    let first = joins("c", 1..=1, &["ops"]);
    write(&mut db, &first).unwrap();
    let mut again = joins("c", 1..=1, &["ops", "audit"]);
    again.events[0].sequence = Some(2);
    again.conference.as_mut().unwrap().last_sequence = 2;

    assert_eq!(write(&mut db, &again), Err(WriteError::Duplicate(first.events[0].id.clone())));

    assert_eq!(db.log_after(0, 10).unwrap().len(), 1);
    assert_eq!(db.load_unfinished().unwrap()[0].conference.last_sequence, 1);
    let summary = db.outbox_summary().unwrap();
    assert_eq!((summary.len(), summary[0].pending), (1, 1));
}

fn a_sequence_neither_repeats_nor_leaves_a_hole<B: Backend>() {
    let mut db = B::create();
    write(&mut db, &joins("c", 1..=2, &[])).unwrap();
    for wrong in [2, 4] {
        let mut commit = joins("c", 3..=3, &[]);
        commit.events[0].sequence = Some(wrong);
        assert!(matches!(write(&mut db, &commit), Err(WriteError::Invariant(_))), "{wrong}");
    }
    let mut ahead = joins("c", 3..=3, &[]);
    ahead.conference.as_mut().unwrap().last_sequence = 4;
    assert!(matches!(write(&mut db, &ahead), Err(WriteError::Invariant(_))));
    write(&mut db, &joins("c", 3..=3, &[])).unwrap();
}

fn a_retracted_event_no_longer_stands_and_is_retracted_once<B: Backend>() {
    let mut db = B::create();
    let first = joins("c", 1..=1, &[]);
    write(&mut db, &first).unwrap();
    let earlier = first.events[0].id.clone();
    let taken_back = commit("c", vec![retraction("c", 2, &earlier)]);
    write(&mut db, &taken_back).unwrap();

    let emitted_rows = db.load_unfinished().unwrap().remove(0).emitted;
    assert_eq!(emitted_rows, [emitted(&first, false)], "the retraction itself states no fact");
    let log = db.log_after(0, 10).unwrap();
    assert_eq!(log[0].taken_back_by, Some(log[1].id.clone()));

    let mut twice = retraction("c", 3, &earlier);
    twice.id = event("c", 3, &[]).id;
    assert!(matches!(write(&mut db, &commit("c", vec![twice])), Err(WriteError::Invariant(_))));
    let unknown = retraction("c", 3, &event("never", 1, &[]).id);
    assert!(matches!(write(&mut db, &commit("c", vec![unknown])), Err(WriteError::Invariant(_))));
}

fn rows_of_a_conference_that_is_not_stored_are_refused<B: Backend>() {
    let mut db = B::create();
    let orphan = Commit { participants: vec![participant_row("c", "p")], ..Commit::default() };
    assert!(matches!(write(&mut db, &orphan), Err(WriteError::Invariant(_))));
    let orphan = Commit { events: vec![event("c", 1, &[])], ..Commit::default() };
    assert!(matches!(write(&mut db, &orphan), Err(WriteError::Invariant(_))));
    write(&mut db, &joins("c", 1..=1, &[])).unwrap();
    let without_its_row = Commit { events: vec![event("c", 2, &[])], ..Commit::default() };
    assert!(matches!(write(&mut db, &without_its_row), Err(WriteError::Invariant(_))));
}

fn a_closed_conference_is_finished_and_not_loaded<B: Backend>() {
    let mut db = B::create();
    write(&mut db, &joins("c", 1..=1, &[])).unwrap();
    assert!(!db.finished().unwrap().contains(&conference("c")));
    let closed = Commit {
        conference: Some(ConferenceRow { phase: Phase::Closed, ..conference_row("c", 1) }),
        ..Commit::default()
    };
    write(&mut db, &closed).unwrap();
    assert!(db.load_unfinished().unwrap().is_empty());
    assert!(db.finished().unwrap().contains(&conference("c")));
    assert_eq!(db.finished().unwrap().into_iter().collect::<Vec<_>>(), [conference("c")]);
}

fn the_gap_of_a_conference_is_loaded_with_it_and_a_targets_gap_with_no_conference<B: Backend>() {
    let mut db = B::create();
    let mut gap = event("c", 1, &[]);
    gap.event = EventType::WatchGap;
    write(&mut db, &commit("c", vec![gap])).unwrap();
    write(&mut db, &Commit { events: vec![lone_gap(1, &["ops"])], ..Commit::default() }).unwrap();
    let emitted_types: Vec<_> = db.load_unfinished().unwrap()[0].emitted.iter().map(|row| row.event).collect();
    assert_eq!(emitted_types, [EventType::WatchGap]);
    assert_eq!(db.log_after(0, 10).unwrap().len(), 2);
}

fn conferences_are_selected_by_a_half_open_interval_and_by_target<B: Backend>() {
    let mut db = B::create();
    for (id, start, end) in [("a", 0, Some(10)), ("b", 10, Some(20)), ("c", 20, None)] {
        let row = ConferenceRow {
            start: at(start),
            end: end.map(|end| (at(end), Source::Google)),
            targets: vec![TargetName::parse(if id == "b" { "board" } else { "all" }).unwrap()],
            ..conference_row(id, 0)
        };
        db.write(Commit { conference: Some(row), ..Commit::default() }, noon()).unwrap();
    }
    let select = |from, until, target: Option<&str>, limit| {
        let target = target.map(|name| TargetName::parse(name).unwrap());
        let query = ConferenceQuery { target, from: at(from), until: at(until), limit };
        let found = db.conferences(&query).unwrap();
        found.into_iter().map(|stored| stored.conference.name).collect::<Vec<_>>()
    };
    assert_eq!(select(0, 30, None, 9), [conference("a"), conference("b"), conference("c")]);
    assert_eq!(select(10, 20, None, 9), [conference("b")], "an end and a start at the edge do not overlap");
    assert_eq!(select(100, 200, None, 9), [conference("c")], "it has not ended");
    assert_eq!(select(0, 30, Some("all"), 9), [conference("a"), conference("c")]);
    assert_eq!(select(0, 30, None, 1), [conference("a")]);
    assert_eq!(db.conference(&conference("b")).unwrap().unwrap().conference.start, at(10));
    assert_eq!(db.conference(&conference("unknown")).unwrap(), None);
}

fn times_keep_their_nanoseconds_and_far_ones_do_not_overflow<B: Backend>() {
    let mut db = B::create();
    let mut commit = full();
    let row = commit.conference.as_mut().unwrap();
    row.start = Timestamp::UNIX_EPOCH;
    row.last_listed = Some(Timestamp::MAX);
    write(&mut db, &commit).unwrap();
    let read = db.load_unfinished().unwrap().remove(0).conference;
    assert_eq!(read.start, Timestamp::UNIX_EPOCH);
    assert!(read.last_listed.unwrap() > at(0));
    assert_eq!(read.end, Some((at(60), Source::Inferred)));
}

fn a_conference_is_read_by_name_alone_while_it_is_not_closed<B: Backend>() {
    let mut db = B::create();
    for id in ["c", "d"] {
        let mut whole = joins(id, 1..=2, &[]);
        (whole.participants, whole.sessions) = (vec![participant_row(id, "p1")], vec![session_row(id, "p1", "s")]);
        db.write(whole, noon()).unwrap();
    }
    let stored = db.load_unfinished().unwrap();
    assert_eq!(db.unfinished_conference(&conference("d")).unwrap().as_ref(), Some(&stored[1]));
    assert_eq!((stored[1].participants.len(), stored[1].sessions.len(), stored[1].emitted.len()), (1, 1, 2));
    assert_eq!(db.unfinished_conference(&conference("e")).unwrap(), None);
    let closed = ConferenceRow { phase: Phase::Closed, ..conference_row("d", 2) };
    db.write(Commit { conference: Some(closed), ..Commit::default() }, noon()).unwrap();
    assert_eq!(db.unfinished_conference(&conference("d")).unwrap(), None);
    assert!(db.conference(&conference("d")).unwrap().is_some());
}
