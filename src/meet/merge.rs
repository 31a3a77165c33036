//! Merges a resource that appears twice in a list.
//!
//! A list is read page by page while people come and go, so a resource may move from one page to the next and appear on
//! both. The two are merged so that no participant is reported as gone who may be in the call:
//!
//! - every resource gets the earlier start and the later end;
//! - a participant who is in the call on either page is in the call. If that is wrong, the next listing corrects it, while
//!   a wrong leave would be reported to receivers;
//! - a session or a conference with an end on either page has ended, because these never open again.

use std::collections::HashMap;

use crate::model::{Conference, Participant, ParticipantKind, Session};

/// A resource that may appear more than once in a list.
pub(crate) trait Merge {
    /// The key by which two are the same resource.
    fn key(&self) -> &str;

    /// Merges a later copy into this one.
    fn merge(&mut self, later: Self);
}

/// Returns each resource once, in the order of first appearance.
pub(crate) fn distinct<T: Merge>(items: Vec<T>) -> Vec<T> {
    if !has_duplicates(&items) {
        return items;
    }
    let mut at: HashMap<Box<str>, usize> = HashMap::with_capacity(items.len());
    let mut kept: Vec<T> = Vec::with_capacity(items.len());
    for item in items {
        match at.get(item.key()) {
            Some(&index) => kept[index].merge(item),
            None => {
                at.insert(item.key().into(), kept.len());
                kept.push(item);
            }
        }
    }
    kept
}

/// Whether any key appears twice. Nearly every list has no duplicates, and then this check is the only cost.
fn has_duplicates<T: Merge>(items: &[T]) -> bool {
    let mut keys: Vec<&str> = items.iter().map(Merge::key).collect();
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1])
}

impl Merge for Participant {
    fn key(&self) -> &str {
        self.name.as_str()
    }

    fn merge(&mut self, later: Self) {
        if later.kind != ParticipantKind::Unknown {
            self.kind = later.kind;
        }
        self.user = later.user.or(self.user.take());
        self.display_name = later.display_name.or(self.display_name.take());
        self.earliest_start = earlier(self.earliest_start, later.earliest_start);
        // No end means that the participant is in the call, which takes precedence over any end.
        self.latest_end = self.latest_end.zip(later.latest_end).map(|(one, other)| one.max(other));
    }
}

impl Merge for Session {
    fn key(&self) -> &str {
        self.name.as_str()
    }

    fn merge(&mut self, later: Self) {
        self.start = self.start.min(later.start);
        self.end = self.end.max(later.end);
    }
}

impl Merge for Conference {
    fn key(&self) -> &str {
        self.name.as_str()
    }

    fn merge(&mut self, later: Self) {
        self.space = later.space.or(self.space.take());
        self.start = self.start.min(later.start);
        self.end = self.end.max(later.end);
        self.expire = self.expire.max(later.expire);
    }
}

fn earlier<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ParticipantName, SessionName};

    fn participant(id: &str, start: i64, end: Option<i64>) -> Participant {
        Participant {
            name: ParticipantName::parse(&format!("conferenceRecords/c/participants/{id}")).unwrap(),
            kind: ParticipantKind::Anonymous,
            user: None,
            display_name: None,
            earliest_start: Some(second(start)),
            latest_end: end.map(second),
        }
    }

    fn second(second: i64) -> jiff::Timestamp {
        jiff::Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_participant_on_two_pages_is_one_at_the_place_of_the_first() {
        let list = distinct(vec![participant("a", 5, None), participant("b", 4, None), participant("a", 3, None)]);
        assert_eq!(list, vec![participant("a", 3, None), participant("b", 4, None)]);
    }

    #[test]
    fn a_participant_in_the_call_on_either_page_is_in_the_call() {
        for pair in [[Some(9), None], [None, Some(9)]] {
            let list = distinct(pair.map(|end| participant("a", 1, end)).to_vec());
            assert_eq!(list, vec![participant("a", 1, None)]);
        }
        let ended = distinct(vec![participant("a", 1, Some(9)), participant("a", 1, Some(8))]);
        assert_eq!(ended, vec![participant("a", 1, Some(9))]);
    }

    #[test]
    fn a_session_with_an_end_on_either_page_has_ended() {
        let session = |end: Option<i64>| Session {
            name: SessionName::parse("conferenceRecords/c/participants/p/participantSessions/s").unwrap(),
            start: second(1),
            end: end.map(second),
        };
        for pair in [[Some(9), None], [None, Some(9)], [Some(7), Some(9)]] {
            assert_eq!(distinct(pair.map(session).to_vec()), vec![session(Some(9))]);
        }
    }
}
