//! Pure: when to log that the store cannot be written: once when the outage begins, rarely while it lasts, once when it
//! is over. A daemon that polls would otherwise log it hundreds of times a minute.

use std::time::Duration;

use super::error::StoreError;
use crate::clock::Mono;

/// How often a lasting outage is logged again.
const REPEAT_EVERY: Duration = Duration::from_secs(600);

/// The current outage of the store, if there is one.
#[derive(Debug, Default)]
pub(super) struct OutageLog(Option<OngoingOutage>);

#[derive(Debug)]
struct OngoingOutage {
    since: Mono,
    reason: &'static str,
    failed: u64,
    repeat_at: Mono,
}

/// What to log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OutageNotice {
    /// The outage began, has another reason now, or has lasted a while.
    Lasts { failed: u64, duration: Duration },
    /// The outage is over.
    Over { failed: u64, duration: Duration },
}

impl OutageLog {
    /// Notes the outcome of one transaction. `failed`: how many of its operations failed.
    pub(super) fn note(&mut self, outcome: Result<(), &StoreError>, failed: u64, now: Mono) -> Option<OutageNotice> {
        let Err(error) = outcome else {
            let OngoingOutage { failed, since, .. } = self.0.take()?;
            return Some(OutageNotice::Over { failed, duration: now.saturating_sub(since) });
        };
        let reason = error.reason();
        let outage = self.0.get_or_insert(OngoingOutage { since: now, reason, failed: 0, repeat_at: now });
        outage.failed += failed;
        let is_due = outage.reason != reason || now >= outage.repeat_at;
        outage.reason = reason;
        is_due.then(|| {
            outage.repeat_at = now + REPEAT_EVERY;
            OutageNotice::Lasts { failed: outage.failed, duration: now.saturating_sub(outage.since) }
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
    fn an_outage_is_logged_when_it_begins_rarely_while_it_lasts_and_when_it_is_over() {
        let mut log = OutageLog::default();
        assert_eq!(log.note(Ok(()), 1, at(0)), None);
        assert_eq!(
            log.note(Err(&StoreError::Full), 2, at(10)),
            Some(OutageNotice::Lasts { failed: 2, duration: Duration::ZERO })
        );
        for second in 11..610 {
            assert_eq!(log.note(Err(&StoreError::Full), 1, at(second)), None);
        }
        assert_eq!(
            log.note(Err(&StoreError::Full), 1, at(610)),
            Some(OutageNotice::Lasts { failed: 602, duration: at(600) })
        );
        assert_eq!(log.note(Ok(()), 5, at(700)), Some(OutageNotice::Over { failed: 602, duration: at(690) }));
        assert_eq!(log.note(Ok(()), 1, at(701)), None);
    }

    #[test]
    fn an_outage_with_another_reason_is_logged_at_once() {
        let mut log = OutageLog::default();
        assert!(log.note(Err(&StoreError::Full), 1, at(0)).is_some());
        assert!(log.note(Err(&StoreError::Corrupt), 1, at(1)).is_some());
        assert!(log.note(Err(&StoreError::Corrupt), 1, at(2)).is_none());
    }
}
