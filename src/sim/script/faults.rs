//! The faults of a script.

use std::time::Duration;

use jiff::SignedDuration;
use toml::Spanned;
use toml::de::DeValue;

use super::TimedRule;
use super::table::{Notes, Table, nearest};
use crate::sim::api::{Forbidden, GoogleMethod, Hint};
use crate::sim::faults::{Fault, Lag, Rule, RuleScope, When};

const NAMES: [&str; 21] = [
    "throttled",
    "server",
    "slow",
    "cut-off",
    "reset",
    "malformed",
    "html",
    "oversized",
    "repeat-token",
    "duplicates",
    "skips",
    "omit",
    "spoiled",
    "lag",
    "forbidden",
    "api-disabled",
    "scope",
    "unauthenticated",
    "not-found",
    "empty",
    "skew",
];

pub(super) fn rule(value: &Spanned<DeValue<'_>>, notes: &mut Notes<'_>) -> Option<TimedRule> {
    let mut table = Table::new(value, "a fault", notes)?;
    let fault = match table.text("fault", notes) {
        Some((name, offset)) => fault(name, offset, &mut table, notes),
        None => {
            notes.note(table.offset, format!("'fault' is missing: one of {}", NAMES.join(", ")));
            None
        }
    };
    let on = RuleScope {
        methods: methods(&mut table, notes),
        conference: None,
        from_page: table.whole("page", notes).and_then(|(page, _)| u32::try_from(page).ok()).unwrap_or(0),
        caller: table.text("caller", notes).map(|(caller, _)| caller.to_owned()),
    };
    let when = when(&mut table, notes);
    let (from, until) = (table.duration("from", notes), table.duration("until", notes));
    if from.zip(until).is_some_and(|(from, until)| from >= until) {
        notes.note(table.offset, "'until' has to be later than 'from'");
    }
    table.finish(notes);
    let rule = Rule { fault: fault?, on, when, from: None, until: None };
    Some(TimedRule { rule, from, until })
}

fn methods(table: &mut Table<'_, '_>, notes: &mut Notes<'_>) -> Vec<GoogleMethod> {
    let mut methods = Vec::new();
    for (name, offset) in table.texts("on", notes) {
        match GoogleMethod::parse(name) {
            Some(method) => methods.push(method),
            None => {
                let known = GoogleMethod::ALL.map(GoogleMethod::as_str);
                notes.note(offset, format!("unknown method '{name}'{}", nearest(name, &known)));
            }
        }
    }
    methods
}

fn when(table: &mut Table<'_, '_>, notes: &mut Notes<'_>) -> When {
    let chance = table.share("chance", notes).map(When::Chance);
    let mut counted = |key, when: fn(u64) -> When| {
        let (number, offset) = table.whole(key, notes)?;
        let number = u64::try_from(number).ok().filter(|number| *number > 0);
        if number.is_none() {
            notes.note(offset, format!("'{key}' has to be at least 1"));
        }
        number.map(when)
    };
    let (nth, first, every) = (counted("nth", When::Nth), counted("first", When::First), counted("every", When::Every));
    let mut given = [chance, nth, first, every].into_iter().flatten();
    let when = given.next();
    if given.next().is_some() {
        notes.note(table.offset, "at most one of chance, nth, first and every");
    }
    when.unwrap_or_default()
}

fn fault(name: &str, offset: usize, table: &mut Table<'_, '_>, notes: &mut Notes<'_>) -> Option<Fault> {
    Some(match name {
        "throttled" => Fault::Throttled(hint(table, notes)),
        "server" => Fault::Server(code(table, notes, 500..=599, 503)),
        "slow" => Fault::Slow(table.duration("delay", notes).unwrap_or(Duration::from_secs(3))),
        "cut-off" => Fault::CutOff,
        "reset" => Fault::Reset,
        "malformed" => Fault::Malformed,
        "html" => Fault::Html(code(table, notes, 200..=599, 502)),
        "oversized" => Fault::Oversized(count("bytes", table, notes, 16 << 20, 256 << 20)),
        "repeat-token" => Fault::RepeatToken,
        "duplicates" => Fault::Duplicates(count("count", table, notes, 1, 1000)),
        "skips" => Fault::Skips(count("count", table, notes, 1, 1000)),
        "omit" => Fault::Omit(table.share("share", notes).unwrap_or(0.5)),
        "spoiled" => Fault::Spoiled(table.share("share", notes).unwrap_or(0.5)),
        "lag" => Fault::Lag(lag(table, notes)),
        "forbidden" => Fault::Forbidden(Forbidden::PermissionDenied),
        "api-disabled" => Fault::Forbidden(Forbidden::ServiceDisabled),
        "scope" => Fault::Forbidden(Forbidden::ScopeInsufficient),
        "unauthenticated" => Fault::Unauthenticated,
        "not-found" => Fault::NotFound,
        "empty" => Fault::Empty,
        "skew" => {
            Fault::Skew(SignedDuration::from_secs(table.whole("seconds", notes).map_or(120, |(seconds, _)| seconds)))
        }
        _ => {
            notes.note(offset, format!("unknown fault '{name}'{}", nearest(name, &NAMES)));
            return None;
        }
    })
}

fn hint(table: &mut Table<'_, '_>, notes: &mut Notes<'_>) -> Hint {
    let delay = table.duration("delay", notes).unwrap_or(Duration::from_secs(2));
    match table.text("hint", notes) {
        None => Hint::None,
        Some(("retry-after", _)) => Hint::RetryAfter(delay),
        Some(("retry-info", _)) => Hint::RetryInfo(delay),
        Some((text, offset)) => {
            let nearest = nearest(text, &["retry-after", "retry-info"]);
            notes.note(offset, format!("unknown hint '{text}'{nearest}"));
            Hint::None
        }
    }
}

fn code(table: &mut Table<'_, '_>, notes: &mut Notes<'_>, allowed: std::ops::RangeInclusive<u16>, default: u16) -> u16 {
    let Some((number, offset)) = table.whole("code", notes) else { return default };
    let code = u16::try_from(number).ok().filter(|code| allowed.contains(code));
    if code.is_none() {
        notes.note(offset, format!("'code' has to be from {} to {}", allowed.start(), allowed.end()));
    }
    code.unwrap_or(default)
}

fn count(key: &'static str, table: &mut Table<'_, '_>, notes: &mut Notes<'_>, default: usize, most: usize) -> usize {
    let Some((number, offset)) = table.whole(key, notes) else { return default };
    let count = usize::try_from(number).ok().filter(|count| (1..=most).contains(count));
    if count.is_none() {
        notes.note(offset, format!("'{key}' has to be from 1 to {most}"));
    }
    count.unwrap_or(default)
}

fn lag(table: &mut Table<'_, '_>, notes: &mut Notes<'_>) -> Lag {
    let mut of = |key| table.duration(key, notes).unwrap_or(Duration::ZERO);
    Lag {
        conference: of("conference"),
        conference_end: of("conference_end"),
        participant: of("participant"),
        session: of("session"),
        rejoin: of("rejoin"),
        leave: of("leave"),
        true_end: of("true_end"),
        spread: None,
    }
}
