//! Tells an outage of Google, which fails every read, from a failure of one read: the first is one line in the log when it
//! begins and one when it is over, however many conferences are watched.

use std::collections::BTreeMap;
use std::time::Duration;

use super::step::WorkKey;
use crate::clock::Mono;
use crate::meet::Reason;
use crate::model::IdentityName;

/// How often a failure that lasts is logged again.
pub(super) const LOG_AGAIN_AFTER: Duration = Duration::from_secs(600);

/// An outage is a time of at least this length in which no read succeeded. Reads that fail while others succeed fail alone.
const NO_ANSWER: Duration = Duration::from_secs(10);

/// How many reads that fail alone are logged within [`LOG_AGAIN_AFTER`].
const ALONE_LOGGED: usize = 10;

/// How many reads that failed alone are remembered.
const ALONE_KEPT: usize = 1000;

/// Whose reads fail together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum OutageScope {
    /// Everybody's: Google cannot be reached, or does not work.
    Google,
    /// Those of one identity: its quota is used up.
    Identity(IdentityName),
}

impl OutageScope {
    /// Returns the scope of a failure; `None` if it says something of one read only.
    pub(super) fn of(reason: Reason, identity: &IdentityName) -> Option<Self> {
        match reason {
            Reason::Network | Reason::Timeout | Reason::Server | Reason::Malformed => Some(Self::Google),
            Reason::Throttled => Some(Self::Identity(identity.clone())),
            Reason::ApiDisabled
            | Reason::ScopeMissing
            | Reason::Delegation
            | Reason::Credentials
            | Reason::Unauthenticated
            | Reason::NoAccess
            | Reason::NotFound
            | Reason::BadRequest => None,
        }
    }
}

/// The outages that go on, and the reads that fail alone.
#[derive(Debug, Default)]
pub(super) struct Outages {
    open: BTreeMap<OutageScope, ReadOutage>,
    /// When a read of the scope succeeded last.
    answered: BTreeMap<OutageScope, Mono>,
    /// When an outage was logged last.
    logged: BTreeMap<OutageScope, Mono>,
    /// The reads that failed not long ago while others succeeded, and when.
    alone: BTreeMap<WorkKey, Mono>,
    /// Those of them that were logged, and when.
    alone_logged: BTreeMap<WorkKey, Mono>,
}

/// A time in which no read of the scope succeeded.
#[derive(Debug)]
struct ReadOutage {
    since: Mono,
    /// The first that failed.
    first: WorkKey,
    /// Another failed, too.
    has_others: bool,
    failed: u64,
    /// Its beginning was logged.
    announced: bool,
}

/// What to log of a failure.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReadOutageNotice {
    /// An outage began, or has gone on for a while.
    Lasts { failed: u64, duration: Duration },
    /// This read fails again and again while others succeed.
    Alone,
    /// Nothing: it was said already, or one failure says nothing yet.
    Known,
}

/// An outage that is over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OutageOver {
    pub(super) failed: u64,
    pub(super) duration: Duration,
}

impl Outages {
    /// Notes that a read failed for a reason that has a scope.
    ///
    /// It is an outage once a second read failed and none succeeded for [`NO_ANSWER`]. What cannot be parsed says something
    /// of Google only if it is not one resource alone. One outage is logged within [`LOG_AGAIN_AFTER`], however often reads
    /// succeed in between.
    pub(super) fn failed(&mut self, scope: &OutageScope, key: &WorkKey, reason: Reason, now: Mono) -> ReadOutageNotice {
        let fresh = || ReadOutage { since: now, first: key.clone(), has_others: false, failed: 0, announced: false };
        let outage = self.open.entry(scope.clone()).or_insert_with(fresh);
        outage.failed += 1;
        outage.has_others |= outage.first != *key;
        let quiet_since = self.answered.get(scope).copied().unwrap_or(outage.since);
        let is_outage = outage.failed > 1 && now.saturating_sub(quiet_since) >= NO_ANSWER;
        if is_outage && (outage.has_others || reason != Reason::Malformed) {
            let is_due = self.logged.get(scope).is_none_or(|at| now.saturating_sub(*at) >= LOG_AGAIN_AFTER);
            if !is_due {
                return ReadOutageNotice::Known;
            }
            outage.announced = true;
            self.logged.insert(scope.clone(), now);
            return ReadOutageNotice::Lasts { failed: outage.failed, duration: now.saturating_sub(outage.since) };
        }
        if is_outage || self.alone.contains_key(key) { self.failed_alone(key, now) } else { ReadOutageNotice::Known }
    }

    fn failed_alone(&mut self, key: &WorkKey, now: Mono) -> ReadOutageNotice {
        self.alone_logged.retain(|_, at| now.saturating_sub(*at) < LOG_AGAIN_AFTER);
        if self.alone_logged.contains_key(key) || self.alone_logged.len() >= ALONE_LOGGED {
            return ReadOutageNotice::Known;
        }
        self.alone_logged.insert(key.clone(), now);
        ReadOutageNotice::Alone
    }

    /// Notes that Google answered a read of `identity`. Returns the outages that this ends and that were logged.
    pub(super) fn answered(&mut self, identity: &IdentityName, now: Mono) -> Vec<(OutageScope, OutageOver)> {
        let mut ended = Vec::new();
        for scope in [OutageScope::Google, OutageScope::Identity(identity.clone())] {
            if let Some(ReadOutage { since, first, failed, announced, .. }) = self.open.remove(&scope) {
                let duration = now.saturating_sub(since);
                if announced {
                    ended.push((scope.clone(), OutageOver { failed, duration }));
                } else if duration < NO_ANSWER {
                    self.alone.retain(|_, at| now.saturating_sub(*at) < LOG_AGAIN_AFTER);
                    if self.alone.len() < ALONE_KEPT {
                        self.alone.insert(first, now);
                    }
                }
            }
            self.answered.insert(scope, now);
        }
        ended
    }

    /// Forgets the identities that are not configured any more.
    pub(super) fn keep_identities(&mut self, is_configured: impl Fn(&IdentityName) -> bool) {
        let is_kept = |scope: &OutageScope| match scope {
            OutageScope::Google => true,
            OutageScope::Identity(identity) => is_configured(identity),
        };
        self.open.retain(|scope, _| is_kept(scope));
        self.answered.retain(|scope, _| is_kept(scope));
        self.logged.retain(|scope, _| is_kept(scope));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ConferenceName, TargetName};

    const fn at(seconds: u64) -> Mono {
        Duration::from_secs(seconds)
    }

    fn identity() -> IdentityName {
        IdentityName::parse("organizer").unwrap()
    }

    fn conference(number: u64) -> WorkKey {
        WorkKey::Conference(ConferenceName::parse(&format!("conferenceRecords/c{number}")).unwrap())
    }

    /// The number of lines of each kind: outages, their ends, and reads that fail alone.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Lines {
        outages: usize,
        ends: usize,
        alone: usize,
    }

    impl Lines {
        fn fail(&mut self, outages: &mut Outages, key: &WorkKey, reason: Reason, second: u64) {
            let scope = OutageScope::of(reason, &identity()).unwrap();
            match outages.failed(&scope, key, reason, at(second)) {
                ReadOutageNotice::Lasts { .. } => self.outages += 1,
                ReadOutageNotice::Alone => self.alone += 1,
                ReadOutageNotice::Known => {}
            }
        }

        fn answer(&mut self, outages: &mut Outages, second: u64) {
            self.ends += outages.answered(&identity(), at(second)).len();
        }
    }

    #[test]
    fn an_outage_of_100_conferences_is_one_line_and_its_end_another() {
        let (mut outages, mut lines) = (Outages::default(), Lines::default());
        for second in 0..300 {
            for number in 0..100 {
                let reason = if number % 3 == 0 { Reason::Timeout } else { Reason::Network };
                lines.fail(&mut outages, &conference(number), reason, second);
            }
        }
        assert_eq!(lines, Lines { outages: 1, ..Lines::default() });
        let over = outages.answered(&identity(), at(300));
        assert_eq!(over, [(OutageScope::Google, OutageOver { failed: 30_000, duration: at(300) })]);
        assert_eq!(outages.answered(&identity(), at(301)), []);
    }

    #[test]
    fn a_lasting_outage_is_logged_again_every_ten_minutes() {
        let (mut outages, mut lines) = (Outages::default(), Lines::default());
        (0..1300).for_each(|second| lines.fail(&mut outages, &conference(second % 7), Reason::Network, second));
        assert_eq!(lines, Lines { outages: 3, ..Lines::default() });
    }

    #[test]
    fn reads_that_all_end_by_timeout_are_an_outage_as_soon_as_two_have() {
        let (mut outages, mut lines) = (Outages::default(), Lines::default());
        lines.answer(&mut outages, 0);
        lines.fail(&mut outages, &conference(1), Reason::Timeout, 30);
        assert_eq!(lines.outages, 0, "one failure is no outage");
        lines.fail(&mut outages, &conference(2), Reason::Timeout, 30);
        assert_eq!(lines.outages, 1);
    }

    #[test]
    fn a_read_that_always_fails_while_others_succeed_is_no_outage_and_is_logged_every_ten_minutes() {
        let (mut outages, mut lines) = (Outages::default(), Lines::default());
        for second in 0..1200 {
            lines.fail(&mut outages, &conference(1), Reason::Server, second);
            lines.answer(&mut outages, second);
        }
        assert_eq!(lines, Lines { alone: 2, ..Lines::default() });
    }

    #[test]
    fn conferences_that_fail_in_turn_while_other_reads_succeed_are_no_outage_and_do_not_flood_the_log() {
        for reason in [Reason::Server, Reason::Malformed, Reason::Throttled] {
            let (mut outages, mut lines) = (Outages::default(), Lines::default());
            for second in 0..600 {
                lines.fail(&mut outages, &conference(second % 50), reason, second);
                lines.fail(&mut outages, &conference((second + 7) % 50), reason, second);
                lines.answer(&mut outages, second);
            }
            assert_eq!(lines, Lines { alone: ALONE_LOGGED, ..Lines::default() }, "{reason:?}");
        }
    }

    #[test]
    fn outages_that_follow_each_other_are_one_pair_of_lines_in_ten_minutes() {
        let (mut outages, mut lines) = (Outages::default(), Lines::default());
        for second in 0..1200 {
            lines.fail(&mut outages, &conference(second % 2), Reason::Server, second);
            if second % 30 == 29 {
                lines.answer(&mut outages, second);
            }
        }
        assert_eq!((lines.outages, lines.ends), (2, 2));
    }

    #[test]
    fn a_malformed_answer_is_an_outage_only_if_others_are_malformed_too() {
        let (mut outages, mut lines) = (Outages::default(), Lines::default());
        (0..300).for_each(|second| lines.fail(&mut outages, &conference(1), Reason::Malformed, second));
        assert_eq!(lines, Lines { alone: 1, ..Lines::default() }, "it is logged, and not as an outage");
        lines.fail(&mut outages, &conference(2), Reason::Malformed, 300);
        assert_eq!(lines.outages, 1);
    }

    #[test]
    fn a_single_failure_between_successes_is_not_logged() {
        let (mut outages, mut lines) = (Outages::default(), Lines::default());
        for second in 0..100 {
            lines.fail(&mut outages, &conference(second), Reason::Server, second);
            lines.answer(&mut outages, second);
        }
        assert_eq!(lines, Lines::default());
    }

    #[test]
    fn a_used_up_quota_is_an_outage_of_its_identity() {
        let mut outages = Outages::default();
        let (one, other) = (identity(), IdentityName::parse("other").unwrap());
        let scope = OutageScope::of(Reason::Throttled, &one).unwrap();
        let key = WorkKey::Target(TargetName::parse("board").unwrap());
        assert_eq!(outages.failed(&scope, &key, Reason::Throttled, at(0)), ReadOutageNotice::Known);
        assert_eq!(outages.answered(&other, at(5)), [], "another identity's answer says nothing of it");
        let lasts = ReadOutageNotice::Lasts { failed: 2, duration: at(10) };
        assert_eq!(outages.failed(&scope, &key, Reason::Throttled, at(10)), lasts);
        assert_eq!(outages.answered(&other, at(11)), []);
        assert_eq!(outages.answered(&one, at(12)).len(), 1);
        assert_eq!(OutageScope::of(Reason::NoAccess, &one), None);
    }
}
