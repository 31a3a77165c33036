//! Pure: how far a question about what has ended reaches.
//!
//! After a long outage the list may be long, and one page that fails costs all of it. So whoever cannot be told everything
//! at once asks for less: a list that failed is asked for in halves, each that comes makes the next one longer.

use jiff::{SignedDuration, Timestamp};

/// No part is shorter. Longer than what overlaps, so that each gets on.
const SHORTEST: SignedDuration = SignedDuration::from_mins(45);

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LookBack {
    /// How much time a question covers at the most. `None`: all there is.
    span: Option<SignedDuration>,
    /// How much the last one covered.
    asked: SignedDuration,
    /// Where the last one ended, if it was a part.
    until: Option<Timestamp>,
}

impl LookBack {
    /// Until when to ask, from `since` on. `None`: no limit.
    pub(super) fn until(&mut self, since: Timestamp, google: Timestamp) -> Option<Timestamp> {
        let all = google.duration_since(since);
        self.until = self.span.filter(|span| *span < all).and_then(|span| since.saturating_add(span).ok());
        self.asked = self.until.map_or(all, |until| until.duration_since(since));
        self.until
    }

    /// The list came, whole. Returns where it ended, if it was a part: the next one goes on from there.
    pub(super) fn came(&mut self) -> Option<Timestamp> {
        self.span = self.until.map(|_| self.asked.saturating_mul(2));
        self.until.take()
    }

    /// It did not come.
    pub(super) fn failed(&mut self) {
        if self.asked > SHORTEST {
            self.span = Some((self.asked / 2).max(SHORTEST));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + 60 * minutes).unwrap()
    }

    #[test]
    fn all_is_asked_for_at_once_while_it_comes() {
        let mut back = LookBack::default();
        assert_eq!(back.until(at(0), at(100_000)), None);
        assert_eq!(back.came(), None);
        assert_eq!(back.until(at(99_985), at(100_001)), None);
    }

    #[test]
    fn what_does_not_come_whole_is_asked_for_in_parts_that_grow_again() {
        let mut back = LookBack::default();
        back.until(at(0), at(240));
        back.failed();
        assert_eq!(back.until(at(0), at(241)), Some(at(120)));
        back.failed();
        assert_eq!(back.until(at(0), at(242)), Some(at(60)));
        back.failed();
        back.until(at(0), at(243));
        back.failed();
        assert_eq!(back.until(at(0), at(244)), Some(at(45)), "no part is shorter");
        assert_eq!(back.came(), Some(at(45)));
        assert_eq!(back.until(at(30), at(244)), Some(at(120)), "each that comes makes the next one longer");
        assert_eq!(back.came(), Some(at(120)));
        assert_eq!(back.until(at(105), at(245)), None);
        assert_eq!(back.came(), None);
    }

    #[test]
    fn a_short_list_that_fails_is_asked_for_again_as_it_is() {
        let mut back = LookBack::default();
        back.until(at(0), at(16));
        back.failed();
        assert_eq!(back.until(at(0), at(17)), None);
    }
}
