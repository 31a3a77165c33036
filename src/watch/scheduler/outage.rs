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

/// The outages that go on.
#[derive(Debug, Default)]
pub(super) struct Outages {
    open: BTreeMap<OutageScope, ReadOutage>,
    /// When an outage was logged last, and why it was one.
    logged: BTreeMap<OutageScope, (Reason, Mono)>,
}

/// A time in which no read of the scope succeeded.
#[derive(Debug)]
struct ReadOutage {
    since: Mono,
    /// The first that failed.
    first: WorkKey,
    failed: u64,
    /// Its beginning was logged.
    announced: bool,
}

/// What to log of a failure.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReadOutageNotice {
    /// An outage began, or has gone on for a while.
    Lasts { failed: u64, duration: Duration },
    /// Nothing: it was said already.
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
    /// Some reads always fail. So if an outage was logged not long ago, the next one is logged once a second read failed in
    /// it: a read that fails alone, while others succeed, does not begin one outage after the other.
    pub(super) fn failed(&mut self, scope: &OutageScope, key: &WorkKey, reason: Reason, now: Mono) -> ReadOutageNotice {
        let fresh = || ReadOutage { since: now, first: key.clone(), failed: 0, announced: false };
        let outage = self.open.entry(scope.clone()).or_insert_with(fresh);
        outage.failed += 1;
        let recent = self.logged.get(scope);
        let is_old = recent.is_none_or(|(_, at)| now.saturating_sub(*at) >= LOG_AGAIN_AFTER);
        let is_other = recent.is_none_or(|(before, _)| *before != reason);
        let is_due = is_old || (!outage.announced && (is_other || outage.first != *key));
        if !is_due {
            return ReadOutageNotice::Known;
        }
        outage.announced = true;
        self.logged.insert(scope.clone(), (reason, now));
        ReadOutageNotice::Lasts { failed: outage.failed, duration: now.saturating_sub(outage.since) }
    }

    /// Notes that Google answered a read of `identity`. Returns the outages that this ends and that were logged.
    pub(super) fn answered(&mut self, identity: &IdentityName, now: Mono) -> Vec<(OutageScope, OutageOver)> {
        if self.open.is_empty() {
            return Vec::new();
        }
        let scopes = [OutageScope::Google, OutageScope::Identity(identity.clone())];
        let ended = scopes.into_iter().filter_map(|scope| {
            let ReadOutage { since, failed, announced, .. } = self.open.remove(&scope)?;
            let over = OutageOver { failed, duration: now.saturating_sub(since) };
            announced.then_some((scope, over))
        });
        ended.collect()
    }

    /// Forgets the identities that are not configured any more.
    pub(super) fn keep_identities(&mut self, is_configured: impl Fn(&IdentityName) -> bool) {
        let is_kept = |scope: &OutageScope| match scope {
            OutageScope::Google => true,
            OutageScope::Identity(identity) => is_configured(identity),
        };
        self.open.retain(|scope, _| is_kept(scope));
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

    fn conference(number: u32) -> WorkKey {
        WorkKey::Conference(ConferenceName::parse(&format!("conferenceRecords/c{number}")).unwrap())
    }

    #[test]
    fn an_outage_of_100_conferences_is_one_line_and_its_end_another() {
        let mut outages = Outages::default();
        let mut said = 0;
        for second in 0..300 {
            for number in 0..100 {
                let reason = if number % 3 == 0 { Reason::Timeout } else { Reason::Network };
                let notice = outages.failed(&OutageScope::Google, &conference(number), reason, at(second));
                said += u32::from(notice != ReadOutageNotice::Known);
            }
        }
        assert_eq!(said, 1);
        let over = outages.answered(&identity(), at(300));
        assert_eq!(over, [(OutageScope::Google, OutageOver { failed: 30_000, duration: at(300) })]);
        assert_eq!(outages.answered(&identity(), at(301)), []);
    }

    #[test]
    fn a_lasting_outage_is_logged_again_every_ten_minutes() {
        let mut outages = Outages::default();
        let notices = (0..1300).map(|second| {
            outages.failed(&OutageScope::Google, &conference(second % 7), Reason::Network, at(second.into()))
        });
        assert_eq!(notices.filter(|notice| *notice != ReadOutageNotice::Known).count(), 3);
    }

    #[test]
    fn a_read_that_always_fails_while_others_succeed_is_logged_every_ten_minutes() {
        let mut outages = Outages::default();
        let mut lines = 0;
        for second in 0..1200 {
            let notice = outages.failed(&OutageScope::Google, &conference(1), Reason::Server, at(second));
            lines += usize::from(notice != ReadOutageNotice::Known);
            lines += outages.answered(&identity(), at(second)).len();
        }
        assert_eq!(lines, 4, "two beginnings, two ends");
    }

    #[test]
    fn a_second_outage_soon_after_the_first_is_logged_once_a_second_read_fails_in_it() {
        let mut outages = Outages::default();
        let lasts = |failed| ReadOutageNotice::Lasts { failed, duration: Duration::ZERO };
        assert_eq!(outages.failed(&OutageScope::Google, &conference(1), Reason::Network, at(0)), lasts(1));
        assert_eq!(outages.answered(&identity(), at(60)).len(), 1);
        assert_eq!(
            outages.failed(&OutageScope::Google, &conference(1), Reason::Network, at(70)),
            ReadOutageNotice::Known
        );
        assert_eq!(outages.failed(&OutageScope::Google, &conference(2), Reason::Network, at(70)), lasts(2));
    }

    #[test]
    fn a_used_up_quota_is_an_outage_of_its_identity() {
        let mut outages = Outages::default();
        let (one, other) = (identity(), IdentityName::parse("other").unwrap());
        let scope = OutageScope::of(Reason::Throttled, &one).unwrap();
        let key = WorkKey::Target(TargetName::parse("board").unwrap());
        assert_ne!(outages.failed(&scope, &key, Reason::Throttled, at(0)), ReadOutageNotice::Known);
        assert_eq!(outages.answered(&other, at(5)), [], "another identity's answer says nothing of it");
        assert_eq!(outages.answered(&one, at(9)).len(), 1);
        assert_eq!(OutageScope::of(Reason::NoAccess, &one), None);
    }
}
