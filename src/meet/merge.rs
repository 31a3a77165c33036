//! One resource that a list showed twice, made one again.
//!
//! A list is read page by page while people come and go, so that somebody may move from one page to the next and be
//! seen on both. The two sightings are merged so that nobody is told gone who may be there:
//!
//! - every resource: the earlier start holds, and of two ends the later;
//! - a participant in the call on either page is in the call. If that is wrong the next listing puts it right; to say
//!   `gone` wrongly would be told to the world;
//! - a session or a conference with an end on either page has ended: those never open again.

use std::collections::HashMap;

use crate::model::{Conference, Participant, ParticipantKind, Session};

/// A resource that may be seen more than once in a list.
pub(crate) trait Merge {
    /// What makes two of them the same.
    fn key(&self) -> &str;

    /// Takes in what a later sighting says.
    fn merge(&mut self, later: Self);
}

/// Each resource once, in the order of first sight.
pub(crate) fn distinct<T: Merge>(seen: Vec<T>) -> Vec<T> {
    if !has_duplicates(&seen) {
        return seen;
    }
    let mut at: HashMap<Box<str>, usize> = HashMap::with_capacity(seen.len());
    let mut kept: Vec<T> = Vec::with_capacity(seen.len());
    for item in seen {
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

/// Whether any key comes twice. Nearly every list has none, so this is all that most of them pay.
fn has_duplicates<T: Merge>(seen: &[T]) -> bool {
    let mut keys: Vec<&str> = seen.iter().map(Merge::key).collect();
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
        // No end means in the call, and that holds over any end.
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
    fn somebody_seen_on_two_pages_is_one_person_in_the_place_of_first_sight() {
        let list = distinct(vec![participant("a", 5, None), participant("b", 4, None), participant("a", 3, None)]);
        assert_eq!(list, vec![participant("a", 3, None), participant("b", 4, None)]);
    }

    #[test]
    fn somebody_in_the_call_on_either_page_is_in_the_call() {
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
