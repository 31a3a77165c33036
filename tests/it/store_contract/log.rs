//! The log is read page by page, and its last position is published.

use super::{Backend, Durable, contract_tests};
use crate::store_samples::*;

contract_tests!(
    the_log_is_read_in_order_page_by_page,
    the_position_is_that_of_the_last_event_written;
    durable: the_position_and_the_log_survive_a_restart
);

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
