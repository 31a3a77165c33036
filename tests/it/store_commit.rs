//! A commit is written whole or not at all, and what was written comes back the same.

use jiff::Timestamp;
use meetwatch::model::event::Affiliation;
use meetwatch::model::{EventType, IdentityName, Kind, MeetingCode, Source, SpaceName, TargetName, UserName};
use meetwatch::store::{
    Commit, CommitError, ConferenceRow, Db, EmittedRow, ParticipantRow, Phase, SessionRow, Store, StoreError,
    StoreMetrics, StoredConference, TargetRow,
};

use crate::store_samples::*;

/// A commit in which every column has a value of its own.
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
                kind: Kind::SignedIn,
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

fn told(commit: &Commit, stands: bool) -> EmittedRow {
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

fn write(db: &mut Db, commit: &Commit) -> Result<(), CommitError> {
    db.commit_group(std::slice::from_ref(commit), noon()).pop().unwrap()
}

#[test]
fn what_was_committed_is_the_same_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meetwatch.db");
    let commit = full();
    let mut db = Db::open(&path, noon()).unwrap();
    write(&mut db, &commit).unwrap();
    drop(db);

    let db = Db::open(&path, at(1000)).unwrap();
    assert_eq!(db.load_unfinished().unwrap(), [stored(&commit, vec![told(&commit, true)])]);
    assert_eq!(db.targets().unwrap(), commit.targets);
    assert_eq!(db.log_after(0, 10).unwrap()[0].body, commit.events[0].body);
}

#[test]
fn a_later_commit_replaces_the_rows_it_names_and_leaves_the_others() {
    let mut db = Db::in_memory(noon()).unwrap();
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
    assert_eq!(db.load_unfinished().unwrap(), [stored(&second, vec![told(&first, true)])]);
}

#[test]
fn a_commit_that_fails_half_way_leaves_nothing_and_takes_no_other_along() {
    let mut db = Db::in_memory(noon()).unwrap();
    let mut bad = full();
    // Everything of it can be written but its last event.
    bad.events.push(bad.events[0].clone());
    bad.events[1].sequence = Some(2);
    bad.conference.as_mut().unwrap().last_sequence = 2;
    let good = joins("d", 1..=2, &["ops"]);
    let also_good = joins("e", 1..=1, &["ops"]);

    let results = db.commit_group(&[good, bad.clone(), also_good], noon());

    assert_eq!(results, [Ok(()), Err(CommitError::Duplicate(bad.events[0].id.clone())), Ok(())]);
    let names: Vec<_> = db.load_unfinished().unwrap().into_iter().map(|stored| stored.conference.name).collect();
    assert_eq!(names, [conference("d"), conference("e")]);
    assert!(db.targets().unwrap().is_empty());
    assert_eq!(db.log_after(0, 10).unwrap().len(), 3);
    assert_eq!(db.outbox_summary().unwrap()[0].pending, 3);
}

#[test]
fn an_event_that_is_in_the_log_is_refused_and_nothing_is_doubled() {
    let mut db = Db::in_memory(noon()).unwrap();
    let first = joins("c", 1..=1, &["ops"]);
    write(&mut db, &first).unwrap();
    let mut again = joins("c", 1..=1, &["ops", "audit"]);
    again.events[0].sequence = Some(2);
    again.conference.as_mut().unwrap().last_sequence = 2;

    assert_eq!(write(&mut db, &again), Err(CommitError::Duplicate(first.events[0].id.clone())));

    assert_eq!(db.log_after(0, 10).unwrap().len(), 1);
    assert_eq!(db.load_unfinished().unwrap()[0].conference.last_sequence, 1);
    let summary = db.outbox_summary().unwrap();
    assert_eq!((summary.len(), summary[0].pending), (1, 1));
}

#[test]
fn a_sequence_neither_repeats_nor_leaves_a_hole() {
    let mut db = Db::in_memory(noon()).unwrap();
    write(&mut db, &joins("c", 1..=2, &[])).unwrap();
    for wrong in [2, 4] {
        let mut commit = joins("c", 3..=3, &[]);
        commit.events[0].sequence = Some(wrong);
        assert!(matches!(write(&mut db, &commit), Err(CommitError::Invariant(_))), "{wrong}");
    }
    let mut ahead = joins("c", 3..=3, &[]);
    ahead.conference.as_mut().unwrap().last_sequence = 4;
    assert!(matches!(write(&mut db, &ahead), Err(CommitError::Invariant(_))));
    write(&mut db, &joins("c", 3..=3, &[])).unwrap();
}

#[test]
fn what_is_taken_back_stands_no_longer_and_is_taken_back_once() {
    let mut db = Db::in_memory(noon()).unwrap();
    let first = joins("c", 1..=1, &[]);
    write(&mut db, &first).unwrap();
    let earlier = first.events[0].id.clone();
    let taken_back = commit("c", vec![retraction("c", 2, &earlier)]);
    write(&mut db, &taken_back).unwrap();

    let told_rows = db.load_unfinished().unwrap().remove(0).emitted;
    assert_eq!(told_rows, [told(&first, false)], "the retraction itself states no fact");
    let log = db.log_after(0, 10).unwrap();
    assert_eq!(log[0].taken_back_by, Some(log[1].id.clone()));

    let mut twice = retraction("c", 3, &earlier);
    twice.id = event("c", 3, &[]).id;
    assert!(matches!(write(&mut db, &commit("c", vec![twice])), Err(CommitError::Invariant(_))));
    let unknown = retraction("c", 3, &event("never", 1, &[]).id);
    assert!(matches!(write(&mut db, &commit("c", vec![unknown])), Err(CommitError::Invariant(_))));
}

#[test]
fn rows_of_a_conference_that_is_not_stored_are_refused() {
    let mut db = Db::in_memory(noon()).unwrap();
    let orphan = Commit { participants: vec![participant_row("c", "p")], ..Commit::default() };
    assert!(matches!(write(&mut db, &orphan), Err(CommitError::Invariant(_))));
    let orphan = Commit { events: vec![event("c", 1, &[])], ..Commit::default() };
    assert!(matches!(write(&mut db, &orphan), Err(CommitError::Invariant(_))));
    write(&mut db, &joins("c", 1..=1, &[])).unwrap();
    let without_its_row = Commit { events: vec![event("c", 2, &[])], ..Commit::default() };
    assert!(matches!(write(&mut db, &without_its_row), Err(CommitError::Invariant(_))));
}

#[test]
fn a_closed_conference_is_finished_and_not_loaded() {
    let mut db = Db::in_memory(noon()).unwrap();
    write(&mut db, &joins("c", 1..=1, &[])).unwrap();
    assert!(!db.is_finished(&conference("c")).unwrap());
    let closed = Commit {
        conference: Some(ConferenceRow { phase: Phase::Closed, ..conference_row("c", 1) }),
        ..Commit::default()
    };
    write(&mut db, &closed).unwrap();
    assert!(db.load_unfinished().unwrap().is_empty());
    assert!(db.is_finished(&conference("c")).unwrap());
    assert_eq!(db.finished().unwrap().into_iter().collect::<Vec<_>>(), [conference("c")]);
}

#[test]
fn the_gap_of_a_conference_comes_back_with_it_and_that_of_a_target_with_none() {
    let mut db = Db::in_memory(noon()).unwrap();
    let mut gap = event("c", 1, &[]);
    gap.event = EventType::WatchGap;
    write(&mut db, &commit("c", vec![gap])).unwrap();
    write(&mut db, &Commit { events: vec![lone_gap(1, &["ops"])], ..Commit::default() }).unwrap();
    let told: Vec<_> = db.load_unfinished().unwrap()[0].emitted.iter().map(|row| row.event).collect();
    assert_eq!(told, [EventType::WatchGap]);
    assert_eq!(db.log_after(0, 10).unwrap().len(), 2);
}

#[test]
fn times_keep_their_nanoseconds_and_far_ones_do_not_wrap() {
    let mut db = Db::in_memory(noon()).unwrap();
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

#[tokio::test]
async fn commits_of_many_tasks_are_all_written_and_a_failing_one_answers_for_itself() {
    let folder = tempfile::tempdir().unwrap();
    let registry = prometheus::Registry::new();
    let metrics = StoreMetrics::register(&registry).unwrap();
    let clock = meetwatch::clock::Clock::new();
    let store = Store::open(&folder.path().join("meetwatch.db"), clock, metrics).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200 {
        let store = store.clone();
        tasks.spawn(async move {
            // Each conference is committed twice; one of the two has to fail.
            store.commit(joins(&format!("c{}", number % 100), 1..=2, &["ops"]), noon()).await
        });
    }
    let results = tasks.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 100);
    assert_eq!(store.log_after(0, 1000).await.unwrap().len(), 200);
    assert_eq!(store.load_unfinished().await.unwrap().len(), 100);

    store.close(std::time::Duration::from_secs(10)).await.unwrap();
    let late = store.commit(joins("late", 1..=1, &[]), noon()).await;
    assert_eq!(late, Err(CommitError::Store(StoreError::Closed)));
    assert_eq!(store.targets().await, Err(StoreError::Closed));

    let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    assert!(text.contains(r#"meetwatch_store_commit_failures_total{reason="invariant"} 100"#), "{text}");
    assert!(text.contains("meetwatch_store_commit_duration_seconds_count"), "{text}");
}

#[tokio::test]
async fn dropping_every_handle_still_writes_what_was_handed_over_and_frees_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meetwatch.db");
    let metrics = StoreMetrics::register(&prometheus::Registry::new()).unwrap();
    let store = Store::open(&path, meetwatch::clock::Clock::new(), metrics).unwrap();
    store.commit(joins("c", 1..=1, &[]), noon()).await.unwrap();
    drop(store);
    // The writer's thread lets the lock go as the last thing it does; opening waits for nobody, so ask again.
    let db = tokio::task::spawn_blocking(move || {
        std::iter::repeat_with(|| Db::open(&path, noon())).find_map(Result::ok).unwrap()
    });
    assert_eq!(db.await.unwrap().log_after(0, 10).unwrap().len(), 1);
}
