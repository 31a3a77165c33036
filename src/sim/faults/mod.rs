//! What goes wrong, and when: a list of rules, each asked about each request.
//!
//! [`Faults::decide`] is pure but for its counters and its seeded dice: no clock, no sockets. What a fault then does
//! to an answer is the API's business, and what it does to a connection the server's.

mod lag;
mod preset;

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};

pub use lag::Lag;
pub use preset::{PRESETS, UnknownPreset, preset};

use super::api::{Forbidden, Hint, Method};

/// One thing that goes wrong with an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// 429, with or without a hint when to come back.
    Throttled(Hint),
    /// A 5xx with Google's error body.
    Server(u16),
    /// The answer comes that much later.
    Slow(Duration),
    /// The connection breaks in the middle of the body.
    CutOff,
    /// The connection is reset before any answer.
    Reset,
    /// 200 with JSON that ends too soon, on a connection that is fine.
    Malformed,
    /// A page of a front end instead of JSON, with this status.
    Html(u16),
    /// A valid answer with so many bytes more than there is reason for.
    Oversized(usize),
    /// The next page's token is this page's, for ever.
    RepeatToken,
    /// A later page begins with so many of what the page before showed already.
    Duplicates(usize),
    /// A later page leaves out the first so many.
    Skips(usize),
    /// A list leaves out this share of its items, others each time.
    Omit(f64),
    /// Answers show the world as it was for a while.
    Lag(Lag),
    Forbidden(Forbidden),
    Unauthenticated,
    NotFound,
    /// A list is empty although it is not.
    Empty,
    /// The header `Date` is wrong by so much.
    Skew(SignedDuration),
    /// The token endpoint refuses with this error and description.
    OAuth(&'static str, &'static str),
}

/// A request, as rules see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen<'r> {
    pub method: Method,
    /// The conference that it is about, by id.
    pub conference: Option<&'r str>,
    /// The page of a list: 1 for the first.
    pub page: u32,
    /// The address of the user that asks, where it is known.
    pub caller: Option<&'r str>,
}

/// Which requests a rule is about. All conditions hold together; the default is every read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct On {
    /// Empty: every read, and neither `token` nor `auth`.
    pub methods: Vec<Method>,
    /// A conference's id.
    pub conference: Option<String>,
    /// Only from this page of a list on.
    pub from_page: u32,
    /// The address of the user that asks.
    pub caller: Option<String>,
}

/// Which of the requests that a rule is about it strikes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum When {
    #[default]
    Always,
    /// Each with this probability.
    Chance(f64),
    /// Only the nth; the first is number 1.
    Nth(u64),
    /// The first so many.
    First(u64),
    /// The nth, 2nth, 3nth …
    Every(u64),
}

/// What goes wrong, on what, when.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub fault: Fault,
    pub on: On,
    pub when: When,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not at this time or later.
    pub until: Option<Timestamp>,
}

impl Rule {
    /// A fault that strikes every read for ever, until narrowed.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self { fault, on: On::default(), when: When::Always, from: None, until: None }
    }

    /// Only on these methods.
    #[must_use]
    pub fn on(mut self, methods: &[Method]) -> Self {
        self.on.methods = methods.to_vec();
        self
    }

    /// Only on this conference, by id.
    #[must_use]
    pub fn of(mut self, conference: &str) -> Self {
        self.on.conference = Some(conference.to_owned());
        self
    }

    /// Only from this page of a list on: 2 lets the first page through.
    #[must_use]
    pub const fn from_page(mut self, page: u32) -> Self {
        self.on.from_page = page;
        self
    }

    /// Only for the user with this address.
    #[must_use]
    pub fn by(mut self, caller: &str) -> Self {
        self.on.caller = Some(caller.to_owned());
        self
    }

    /// Only some of them.
    #[must_use]
    pub const fn when(mut self, when: When) -> Self {
        self.when = when;
        self
    }

    /// Only in this time: from the first, up to but not including the second.
    #[must_use]
    pub const fn between(mut self, from: Timestamp, until: Timestamp) -> Self {
        (self.from, self.until) = (Some(from), Some(until));
        self
    }
}

/// The rules, with what they remember.
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
    /// Nothing goes wrong.
    #[must_use]
    pub fn none() -> Self {
        Self::seeded(0)
    }

    /// Nothing goes wrong yet; rules of chance that are added draw from this seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { rules: Vec::new(), random: Rng::with_seed(seed), struck: BTreeMap::new() }
    }

    /// Adds a rule. Rules are asked in the order they were added.
    pub fn add(&mut self, rule: Rule) {
        self.rules.push((rule, 0));
    }

    /// Adds several.
    pub fn add_all(&mut self, rules: impl IntoIterator<Item = Rule>) {
        rules.into_iter().for_each(|rule| self.add(rule));
    }

    /// Takes all rules back. What struck stays counted.
    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// How often which fault struck, by its name.
    #[must_use]
    pub const fn struck(&self) -> &BTreeMap<&'static str, u64> {
        &self.struck
    }

    /// What goes wrong with this request: every fault whose rule strikes, in the order of the rules.
    pub fn decide(&mut self, seen: &Seen<'_>, now: Timestamp) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (rule, count) in &mut self.rules {
            let in_time = rule.from.is_none_or(|from| now >= from) && rule.until.is_none_or(|until| now < until);
            if !in_time || !rule.on.covers(seen) {
                continue;
            }
            *count += 1;
            if rule.when.strikes(*count, &mut self.random) {
                *self.struck.entry(rule.fault.name()).or_default() += 1;
                faults.push(rule.fault.clone());
            }
        }
        faults
    }
}

impl On {
    fn covers(&self, seen: &Seen<'_>) -> bool {
        let method = if self.methods.is_empty() { seen.method.is_read() } else { self.methods.contains(&seen.method) };
        method
            && self.conference.as_deref().is_none_or(|conference| seen.conference == Some(conference))
            && seen.page >= self.from_page
            && self.caller.as_deref().is_none_or(|caller| seen.caller == Some(caller))
    }
}

impl When {
    fn strikes(self, count: u64, random: &mut Rng) -> bool {
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
    /// The name in tallies and scripts.
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

    const LISTING: Seen<'_> =
        Seen { method: Method::ListParticipants, conference: Some("c1"), page: 1, caller: Some("a@example.com") };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn strikes(rule: Rule, seen: &[(Seen<'_>, i64)]) -> Vec<bool> {
        let mut faults = Faults::seeded(1);
        faults.add(rule);
        seen.iter().map(|(seen, second)| !faults.decide(seen, at(*second)).is_empty()).collect()
    }

    #[test]
    fn a_rule_strikes_what_it_is_about_and_nothing_else() {
        let other = Seen { conference: Some("c2"), ..LISTING };
        let get = Seen { method: Method::GetConference, ..LISTING };
        let token = Seen { method: Method::Token, ..LISTING };
        let second_page = Seen { page: 2, ..LISTING };
        let all = [(LISTING, 0), (other, 0), (get, 0), (token, 0), (second_page, 0)];
        let rule = || Rule::new(Fault::Reset);
        assert_eq!(strikes(rule(), &all), [true, true, true, false, true]);
        assert_eq!(strikes(rule().on(&[Method::Token]), &all), [false, false, false, true, false]);
        assert_eq!(strikes(rule().of("c1"), &all), [true, false, true, false, true]);
        assert_eq!(strikes(rule().from_page(2), &all), [false, false, false, false, true]);
        assert_eq!(strikes(rule().by("b@example.com"), &all), [false; 5]);
        let times = [(LISTING, 4), (LISTING, 5), (LISTING, 9), (LISTING, 10)];
        assert_eq!(strikes(rule().between(at(5), at(10)), &times), [false, true, true, false]);
    }

    #[test]
    fn a_rule_counts_what_it_is_about() {
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
    fn the_same_seed_strikes_the_same_requests_and_counts_them() {
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
