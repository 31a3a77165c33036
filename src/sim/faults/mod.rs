//! Faults: a list of rules that decide for each request what fails.
//!
//! [`Faults::decide`] is pure except for its counters and its seeded random numbers: no clock, no sockets. The API
//! applies a fault to an answer, the server to a connection.

mod lag;
mod preset;

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};

pub use lag::Lag;
pub use preset::{PRESETS, UnknownPreset, preset};

use super::api::{Forbidden, GoogleMethod, Hint};

/// A fault of one answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// 429, with or without a hint when to retry.
    Throttled(Hint),
    /// A 5xx with Google's error body.
    Server(u16),
    /// The answer is delayed by this.
    Slow(Duration),
    /// The connection closes in the middle of the body.
    CutOff,
    /// The connection is reset before any answer.
    Reset,
    /// 200 with truncated JSON, on an intact connection.
    Malformed,
    /// An HTML page of a front end instead of JSON, with this status.
    Html(u16),
    /// A valid answer that is this many bytes longer than necessary.
    Oversized(usize),
    /// The token of the next page is always this page's.
    RepeatToken,
    /// A later page begins with this many items of the previous page.
    Duplicates(usize),
    /// A later page omits its first items, this many.
    Skips(usize),
    /// A list omits this share of its items, different ones each time.
    Omit(f64),
    /// A field of this share of the items cannot be read, of different ones each time.
    Spoiled(f64),
    /// Changes become visible later.
    Lag(Lag),
    Forbidden(Forbidden),
    Unauthenticated,
    NotFound,
    /// A list is answered empty.
    Empty,
    /// The header `Date` is wrong by this.
    Skew(SignedDuration),
    /// The token endpoint refuses with this error and description.
    OAuth(&'static str, &'static str),
}

/// The properties of a request that rules match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultContext<'r> {
    pub method: GoogleMethod,
    /// The id of the conference that it is about.
    pub conference: Option<&'r str>,
    /// The page of a list: 1 for the first.
    pub page: u32,
    /// The address of the calling user, if known.
    pub caller: Option<&'r str>,
}

/// The requests that a rule matches. All conditions must hold; the default is every read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleScope {
    /// Empty: every read, but neither `token` nor `auth`.
    pub methods: Vec<GoogleMethod>,
    /// A conference's id.
    pub conference: Option<String>,
    /// Only this page of a list and later ones.
    pub from_page: u32,
    /// The address of the calling user.
    pub caller: Option<String>,
}

/// To which of the matching requests a rule applies.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum When {
    #[default]
    Always,
    /// Each with this probability.
    Chance(f64),
    /// Only the nth; the first is number 1.
    Nth(u64),
    /// The first n.
    First(u64),
    /// The nth, 2nth, 3nth …
    Every(u64),
}

/// A fault, the requests it matches, and when it applies.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub fault: Fault,
    pub on: RuleScope,
    pub when: When,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not at this time or later.
    pub until: Option<Timestamp>,
}

impl Rule {
    /// Creates a rule that applies to every read, until narrowed.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self { fault, on: RuleScope::default(), when: When::Always, from: None, until: None }
    }

    /// Restricts the rule to these methods.
    #[must_use]
    pub fn on(mut self, methods: &[GoogleMethod]) -> Self {
        self.on.methods = methods.to_vec();
        self
    }

    /// Restricts the rule to the conference with this id.
    #[must_use]
    pub fn of(mut self, conference: &str) -> Self {
        self.on.conference = Some(conference.to_owned());
        self
    }

    /// Restricts the rule to this page of a list and later ones: with 2, the first page is not affected.
    #[must_use]
    pub const fn from_page(mut self, page: u32) -> Self {
        self.on.from_page = page;
        self
    }

    /// Restricts the rule to the user with this address.
    #[must_use]
    pub fn by(mut self, caller: &str) -> Self {
        self.on.caller = Some(caller.to_owned());
        self
    }

    /// Restricts the rule to some of the matching requests.
    #[must_use]
    pub const fn when(mut self, when: When) -> Self {
        self.when = when;
        self
    }

    /// Restricts the rule to the half-open interval from `from` to `until`.
    #[must_use]
    pub const fn between(mut self, from: Timestamp, until: Timestamp) -> Self {
        (self.from, self.until) = (Some(from), Some(until));
        self
    }
}

/// A list of rules, with their counters.
#[derive(Debug)]
pub struct Faults {
    rules: Vec<(Rule, u64)>,
    random: Rng,
    struck: BTreeMap<&'static str, u64>,
}

impl Default for Faults {
    fn default() -> Self {
        Self::none()
    }
}

impl Faults {
    /// Returns an empty list.
    #[must_use]
    pub fn none() -> Self {
        Self::seeded(0)
    }

    /// Returns an empty list; rules with a probability that are added draw from this seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { rules: Vec::new(), random: Rng::with_seed(seed), struck: BTreeMap::new() }
    }

    /// Adds a rule. Rules are evaluated in the order they were added.
    pub fn add(&mut self, rule: Rule) {
        self.rules.push((rule, 0));
    }

    /// Adds several rules.
    pub fn add_all(&mut self, rules: impl IntoIterator<Item = Rule>) {
        rules.into_iter().for_each(|rule| self.add(rule));
    }

    /// Removes all rules. The counters stay.
    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// Returns how often each fault was applied, by its name.
    #[must_use]
    pub const fn struck(&self) -> &BTreeMap<&'static str, u64> {
        &self.struck
    }

    /// Returns the faults of a request: every fault whose rule applies, in the order of the rules.
    pub fn decide(&mut self, request: &FaultContext<'_>, now: Timestamp) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (rule, count) in &mut self.rules {
            let in_time = rule.from.is_none_or(|from| now >= from) && rule.until.is_none_or(|until| now < until);
            if !in_time || !rule.on.matches(request) {
                continue;
            }
            *count += 1;
            if rule.when.applies(*count, &mut self.random) {
                *self.struck.entry(rule.fault.name()).or_default() += 1;
                faults.push(rule.fault.clone());
            }
        }
        faults
    }
}

impl RuleScope {
    fn matches(&self, request: &FaultContext<'_>) -> bool {
        let method =
            if self.methods.is_empty() { request.method.is_read() } else { self.methods.contains(&request.method) };
        method
            && self.conference.as_deref().is_none_or(|conference| request.conference == Some(conference))
            && request.page >= self.from_page
            && self.caller.as_deref().is_none_or(|caller| request.caller == Some(caller))
    }
}

impl When {
    fn applies(self, count: u64, random: &mut Rng) -> bool {
        match self {
            Self::Always => true,
            Self::Chance(chance) => random.f64() < chance,
            Self::Nth(nth) => count == nth,
            Self::First(first) => count <= first,
            Self::Every(every) => every > 0 && count.is_multiple_of(every),
        }
    }
}

impl Fault {
    /// Returns the name in counters and scripts.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Throttled(_) => "throttled",
            Self::Server(_) => "server",
            Self::Slow(_) => "slow",
            Self::CutOff => "cut-off",
            Self::Reset => "reset",
            Self::Malformed => "malformed",
            Self::Html(_) => "html",
            Self::Oversized(_) => "oversized",
            Self::RepeatToken => "repeat-token",
            Self::Duplicates(_) => "duplicates",
            Self::Skips(_) => "skips",
            Self::Omit(_) => "omit",
            Self::Spoiled(_) => "spoiled",
            Self::Lag(_) => "lag",
            Self::Forbidden(Forbidden::PermissionDenied) => "forbidden",
            Self::Forbidden(Forbidden::ServiceDisabled) => "api-disabled",
            Self::Forbidden(Forbidden::ScopeInsufficient) => "scope",
            Self::Unauthenticated => "unauthenticated",
            Self::NotFound => "not-found",
            Self::Empty => "empty",
            Self::Skew(_) => "skew",
            Self::OAuth(..) => "oauth",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: FaultContext<'_> = FaultContext {
        method: GoogleMethod::ListParticipants,
        conference: Some("c1"),
        page: 1,
        caller: Some("a@example.com"),
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn strikes(rule: Rule, seen: &[(FaultContext<'_>, i64)]) -> Vec<bool> {
        let mut faults = Faults::seeded(1);
        faults.add(rule);
        seen.iter().map(|(seen, second)| !faults.decide(seen, at(*second)).is_empty()).collect()
    }

    #[test]
    fn a_rule_applies_only_to_matching_requests() {
        let other = FaultContext { conference: Some("c2"), ..LISTING };
        let get = FaultContext { method: GoogleMethod::GetConference, ..LISTING };
        let token = FaultContext { method: GoogleMethod::Token, ..LISTING };
        let second_page = FaultContext { page: 2, ..LISTING };
        let all = [(LISTING, 0), (other, 0), (get, 0), (token, 0), (second_page, 0)];
        let rule = || Rule::new(Fault::Reset);
        assert_eq!(strikes(rule(), &all), [true, true, true, false, true]);
        assert_eq!(strikes(rule().on(&[GoogleMethod::Token]), &all), [false, false, false, true, false]);
        assert_eq!(strikes(rule().of("c1"), &all), [true, false, true, false, true]);
        assert_eq!(strikes(rule().from_page(2), &all), [false, false, false, false, true]);
        assert_eq!(strikes(rule().by("b@example.com"), &all), [false; 5]);
        let times = [(LISTING, 4), (LISTING, 5), (LISTING, 9), (LISTING, 10)];
        assert_eq!(strikes(rule().between(at(5), at(10)), &times), [false, true, true, false]);
    }

    #[test]
    fn a_rule_counts_the_matching_requests() {
        let four = [(LISTING, 0), (LISTING, 0), (LISTING, 0), (LISTING, 0)];
        let when = |when| strikes(Rule::new(Fault::Reset).when(when), &four);
        assert_eq!(when(When::Nth(3)), [false, false, true, false]);
        assert_eq!(when(When::First(2)), [true, true, false, false]);
        assert_eq!(when(When::Every(2)), [false, true, false, true]);
        assert_eq!(when(When::Every(0)), [false; 4]);
        assert_eq!(when(When::Chance(0.0)), [false; 4]);
        assert_eq!(when(When::Chance(1.0)), [true; 4]);
    }

    #[test]
    fn the_same_seed_applies_faults_to_the_same_requests() {
        let run = || {
            let mut faults = Faults::seeded(9);
            faults.add(Rule::new(Fault::Server(503)).when(When::Chance(0.3)));
            let struck: Vec<bool> = (0..100).map(|n| !faults.decide(&LISTING, at(n)).is_empty()).collect();
            (struck, faults.struck().clone())
        };
        let (struck, counted) = run();
        assert_eq!((struck.clone(), counted.clone()), run());
        assert_eq!(counted["server"], struck.iter().filter(|struck| **struck).count() as u64);
        assert!((10..60).contains(&counted["server"]));
    }
}
