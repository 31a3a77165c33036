//! Pure: when to speak of a store that cannot be written. Once when it begins, seldom while it lasts, once when it is
//! over; a daemon that polls would otherwise say it hundreds of times a minute.

use std::time::Duration;

use super::error::StoreError;
use crate::clock::Mono;

/// Trouble that lasts is spoken of again so often.
const AGAIN_EVERY: Duration = Duration::from_secs(600);

/// How the store fares, by what came of its last transactions.
#[derive(Debug, Default)]
pub(super) struct Trouble(Option<Lasting>);

#[derive(Debug)]
struct Lasting {
    since: Mono,
    reason: &'static str,
    failed: u64,
    again: Mono,
}

/// What the operator is to be told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Say {
    /// It began, or has another reason now, or has lasted a while.
    Trouble { failed: u64, lasting: Duration },
    /// It is over.
    Over { failed: u64, lasted: Duration },
}

impl Trouble {
    /// A transaction with so many pieces of work failed, or went well.
    pub(super) fn note(&mut self, outcome: Result<(), &StoreError>, pieces: u64, now: Mono) -> Option<Say> {
        let Err(error) = outcome else {
            let Lasting { failed, since, .. } = self.0.take()?;
            return Some(Say::Over { failed, lasted: now.saturating_sub(since) });
        };
        let reason = error.reason();
        let lasting = self.0.get_or_insert(Lasting { since: now, reason, failed: 0, again: now });
        lasting.failed += pieces;
        let news = lasting.reason != reason || now >= lasting.again;
        lasting.reason = reason;
        news.then(|| {
            lasting.again = now + AGAIN_EVERY;
            Say::Trouble { failed: lasting.failed, lasting: now.saturating_sub(lasting.since) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Mono {
        Duration::from_secs(seconds)
    }

    #[test]
    fn trouble_is_told_when_it_begins_seldom_while_it_lasts_and_when_it_is_over() {
        let mut trouble = Trouble::default();
        assert_eq!(trouble.note(Ok(()), 1, at(0)), None);
        assert_eq!(
            trouble.note(Err(&StoreError::Full), 2, at(10)),
            Some(Say::Trouble { failed: 2, lasting: Duration::ZERO })
        );
        for second in 11..610 {
            assert_eq!(trouble.note(Err(&StoreError::Full), 1, at(second)), None);
        }
        assert_eq!(
            trouble.note(Err(&StoreError::Full), 1, at(610)),
            Some(Say::Trouble { failed: 602, lasting: at(600) })
        );
        assert_eq!(trouble.note(Ok(()), 5, at(700)), Some(Say::Over { failed: 602, lasted: at(690) }));
        assert_eq!(trouble.note(Ok(()), 1, at(701)), None);
    }

    #[test]
    fn trouble_of_another_kind_is_told_at_once() {
        let mut trouble = Trouble::default();
        assert!(trouble.note(Err(&StoreError::Full), 1, at(0)).is_some());
        assert!(trouble.note(Err(&StoreError::Corrupt), 1, at(1)).is_some());
        assert!(trouble.note(Err(&StoreError::Corrupt), 1, at(2)).is_none());
    }
}
