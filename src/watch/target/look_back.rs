//! Pure: how much of the past one list of ended conferences covers.
//!
//! After a long outage the list may have many pages, and one page that fails fails the list. So after a failure half the
//! time is asked for, and after each success twice the time, until one list covers everything again.

use jiff::{SignedDuration, Timestamp};

/// The shortest time that a list covers. Longer than the overlap of two lists, so that each makes progress.
const SHORTEST: SignedDuration = SignedDuration::from_mins(45);

/// The time that the next list covers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LookBack {
    /// The most time that the next list covers. `None`: everything.
    span: Option<SignedDuration>,
    /// How much time the last list covered.
    asked: SignedDuration,
    /// Where the last list ended, if it covered a part.
    until: Option<Timestamp>,
}

impl LookBack {
    /// Returns where the next list, which begins at `since`, has to end. `None`: no limit.
    pub(super) fn until(&mut self, since: Timestamp, google: Timestamp) -> Option<Timestamp> {
        let all = google.duration_since(since);
        self.until = self.span.filter(|span| *span < all).and_then(|span| since.saturating_add(span).ok());
        self.asked = self.until.map_or(all, |until| until.duration_since(since));
        self.until
    }

    /// Notes that the list was read. Returns where it ended, if it covered a part: the next one begins there.
    pub(super) fn succeeded(&mut self) -> Option<Timestamp> {
        self.span = self.until.map(|_| self.asked.saturating_mul(2));
        self.until.take()
    }

    /// Notes that the list failed.
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
    fn one_list_covers_everything_while_none_fails() {
        let mut back = LookBack::default();
        assert_eq!(back.until(at(0), at(100_000)), None);
        assert_eq!(back.succeeded(), None);
        assert_eq!(back.until(at(99_985), at(100_001)), None);
    }

    #[test]
    fn a_list_that_fails_is_read_in_parts_that_grow_again() {
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
        assert_eq!(back.succeeded(), Some(at(45)));
        assert_eq!(back.until(at(30), at(244)), Some(at(120)), "each success makes the next one longer");
        assert_eq!(back.succeeded(), Some(at(120)));
        assert_eq!(back.until(at(105), at(245)), None);
        assert_eq!(back.succeeded(), None);
    }

    #[test]
    fn a_short_list_that_fails_is_read_again_as_it_is() {
        let mut back = LookBack::default();
        back.until(at(0), at(16));
        back.failed();
        assert_eq!(back.until(at(0), at(17)), None);
    }
}
