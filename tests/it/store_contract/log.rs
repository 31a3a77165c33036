//! The log is read page by page, and its last position is published.

use meetwatch::model::{EventType, MeetingCode, TargetName};
use meetwatch::store::{Commit, ConferenceSelector, EventFilter, LogPage, ParticipantRow};

use super::retention::{after, closed, prune};
use super::{Backend, Durable, contract_tests};
use crate::store_samples::*;

contract_tests!(
    the_log_is_read_in_order_page_by_page,
    the_position_is_that_of_the_last_event_written,
    a_filter_selects_by_conference_type_time_target_and_person,
    the_pages_of_a_filter_follow_each_other_and_the_last_is_looked_through_to_the_end,
    the_newest_events_are_the_last_that_match_in_order;
    durable: the_position_and_the_log_survive_a_restart, the_position_does_not_fall_when_the_last_events_are_deleted
);

fn all() -> EventFilter {
    EventFilter { limit: 100, ..EventFilter::default() }
}

/// Returns the positions of a page.
fn positions(page: &LogPage) -> Vec<u64> {
    page.rows.iter().map(|row| row.position).collect()
}

/// Returns a store with joins at 1 to 4 of a conference that the target `board` reaches, a gap at 5 that another target is
/// told of, and joins at 6 and 7 of a second conference.
fn told<B: Backend>() -> B {
    let mut db = B::create();
    let mut first = joins("c", 1..=4, &[]);
    for (number, event) in (0..).zip(&mut first.events) {
        event.time = at(number);
        event.body = r#"{"targets":["board"]}"#.into();
    }
    first.conference.as_mut().unwrap().meeting_code = Some(MeetingCode::parse("abc-mnop-xyz").unwrap());
    first.participants = vec![
        ParticipantRow { email: Some("ada@example.com".into()), ..participant_row("c", "p1") },
        ParticipantRow { display_name: Some("Bo".into()), ..participant_row("c", "p2") },
    ];
    let mut gap = lone_gap(10, &[]);
    (gap.time, gap.body) = (at(10), r#"{"targets":["staff.ff8d9819fc0e"]}"#.into());
    let mut second = joins("d", 1..=2, &[]);
    second.events.iter_mut().for_each(|event| event.time = at(20));
    for commit in [first, Commit { events: vec![gap], ..Commit::default() }, second] {
        db.write(commit, noon()).unwrap();
    }
    assert_eq!(positions(&db.log(&all()).unwrap()), (1..=7).collect::<Vec<_>>());
    db
}

fn a_filter_selects_by_conference_type_time_target_and_person<B: Backend>() {
    let db = told::<B>();
    let found = |filter: EventFilter| {
        let page = db.log(&filter).unwrap();
        assert_eq!((page.next, page.before), (7, None), "{filter:?}");
        positions(&page)
    };
    let by_name = |id: &str| Some(ConferenceSelector::Name(conference(id)));
    let by_code = |code: &str| Some(ConferenceSelector::Code(MeetingCode::parse(code).unwrap()));
    assert_eq!(found(EventFilter { conference: by_name("d"), ..all() }), [6, 7]);
    assert_eq!(found(EventFilter { conference: by_code("abc-mnop-xyz"), ..all() }), [1, 2, 3, 4]);
    assert!(found(EventFilter { conference: by_code("zzz-zzzz-zzz"), ..all() }).is_empty());

    let [joined, gap, left] = [EventType::ParticipantJoined, EventType::WatchGap, EventType::ParticipantLeft];
    assert_eq!(found(EventFilter { types: vec![gap], ..all() }), [5]);
    assert_eq!(found(EventFilter { types: vec![gap, left, joined], ..all() }).len(), 7);
    assert!(found(EventFilter { types: vec![left], ..all() }).is_empty());

    let (from, until) = (Some(at(2)), Some(at(20)));
    assert_eq!(found(EventFilter { from, ..all() }), [3, 4, 5, 6, 7]);
    assert_eq!(found(EventFilter { until, ..all() }), [1, 2, 3, 4, 5]);
    assert_eq!(found(EventFilter { from, until, types: vec![joined], ..all() }), [3, 4]);

    let target = |name: &str| Some(TargetName::parse(name).unwrap());
    assert_eq!(found(EventFilter { target: target("board"), ..all() }), [1, 2, 3, 4]);
    for section_or_member in ["staff", "staff.ff8d9819fc0e"] {
        assert_eq!(found(EventFilter { target: target(section_or_member), ..all() }), [5]);
    }
    assert!(found(EventFilter { target: target("boar"), ..all() }).is_empty());

    let person = |name: &str| Some(name.to_owned());
    assert_eq!(found(EventFilter { person: person("bo"), ..all() }), [2]);
    assert_eq!(found(EventFilter { person: person("ADA@example.com"), ..all() }), [1]);
    assert_eq!(found(EventFilter { person: person(participant("c", "p3").as_str()), ..all() }), [3]);
}

fn the_pages_of_a_filter_follow_each_other_and_the_last_is_looked_through_to_the_end<B: Backend>() {
    let mut db = told::<B>();
    let joined = EventFilter { types: vec![EventType::ParticipantJoined], limit: 4, ..all() };
    let page = db.log(&joined).unwrap();
    assert_eq!((positions(&page), page.next), (vec![1, 2, 3, 4], 4));
    let half = db.log(&EventFilter { after: page.next, ..joined.clone() }).unwrap();
    assert_eq!((positions(&half), half.next), (vec![6, 7], 7));
    let end = db.log(&EventFilter { after: half.next, ..joined.clone() }).unwrap();
    assert_eq!((positions(&end), end.next), (vec![], 7));
    let beyond = db.log(&EventFilter { after: 99, ..joined.clone() }).unwrap();
    assert_eq!((positions(&beyond), beyond.next), (vec![], 99));
    // What does not match is passed by.
    db.write(Commit { events: vec![lone_gap(30, &[])], ..Commit::default() }, noon()).unwrap();
    let gone_by = db.log(&EventFilter { after: 7, ..joined }).unwrap();
    assert_eq!((positions(&gone_by), gone_by.next), (vec![], 8));
    assert_eq!(positions(&db.log(&EventFilter { before: Some(3), ..all() }).unwrap()), [1, 2]);
}

fn the_newest_events_are_the_last_that_match_in_order<B: Backend>() {
    let db = told::<B>();
    let newest = |filter: EventFilter| {
        let page = db.log(&EventFilter { newest: true, ..filter }).unwrap();
        (positions(&page), page.next)
    };
    let types = vec![EventType::ParticipantJoined];
    assert_eq!(newest(EventFilter { limit: 2, ..all() }), (vec![6, 7], 7));
    assert_eq!(newest(EventFilter { limit: 3, types: types.clone(), ..all() }), (vec![4, 6, 7], 7));
    assert_eq!(newest(EventFilter { limit: 3, after: 4, types, ..all() }), (vec![6, 7], 7));
    assert_eq!(newest(EventFilter { limit: 0, ..all() }), (vec![], 7), "it tells where the log ends");
}

fn the_log_is_read_in_order_page_by_page<B: Backend>() {
    let mut db = B::create();
    for id in ["c", "d", "e"] {
        db.write(joins(id, 1..=4, &[]), noon()).unwrap();
    }
    let all = db.log_after(0, 100).unwrap();
    assert_eq!(all.len(), 12);
    assert!(all.is_sorted_by(|a, b| a.position < b.position));
    let (mut paged, mut position) = (Vec::new(), 0);
    loop {
        let page = db.log_after(position, 5).unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 5);
        position = last.position;
        paged.extend(page);
    }
    assert_eq!(paged, all);
    assert!(db.log_after(u64::MAX, 5).unwrap().is_empty());
}

fn the_position_is_that_of_the_last_event_written<B: Backend>() {
    let mut db = B::create();
    assert_eq!(db.log_position(), 0);
    db.write(joins("c", 1..=3, &[]), noon()).unwrap();
    let last = |db: &B| db.log_after(0, 100).unwrap().last().unwrap().position;
    assert_eq!(db.log_position(), last(&db));
    let results = db.write_all(vec![joins("d", 1..=2, &[]), joins("c", 1..=1, &[])], noon());
    assert!(results[0].is_ok() && results[1].is_err());
    assert_eq!(db.log_position(), last(&db), "a refused commit does not count");
}

fn the_position_and_the_log_survive_a_restart<B: Durable>() {
    let mut db = B::create();
    db.write(joins("c", 1..=3, &[]), noon()).unwrap();
    let (position, log) = (db.log_position(), db.log_after(0, 100).unwrap());
    let db = db.reopen(at(1));
    assert_eq!((db.log_position(), db.log_after(0, 100).unwrap()), (position, log));
}

fn the_position_does_not_fall_when_the_last_events_are_deleted<B: Durable>() {
    let mut db = B::create();
    db.write(joins("live", 1..=2, &[]), noon()).unwrap();
    db.write(closed("old", 3, &[]), noon()).unwrap();
    assert_eq!(db.log_position(), 5);
    assert!(prune(&mut db, after(31), 1000).0 > 0);
    assert_eq!(db.log_after(0, 100).unwrap().last().unwrap().position, 2);
    let db = db.reopen(after(31));
    assert_eq!(db.log_position(), 5);
    let page = db.log(&all()).unwrap();
    assert_eq!((page.rows.len(), page.next), (2, 5));
}
