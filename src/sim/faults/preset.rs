//! Faults by name, for the command line.

use std::time::Duration;

use jiff::SignedDuration;

use super::{Fault, Lag, Rule, When};
use crate::sim::api::{Forbidden, GoogleMethod, Hint};

/// Every name that [`preset`] accepts, with its meaning.
pub const PRESETS: [(&str, &str); 23] = [
    ("throttled", "429 without a hint, on 5 % of the reads"),
    ("throttled-retry-after", "429 with Retry-After, on 5 % of the reads"),
    ("throttled-retry-info", "429 with RetryInfo, on 5 % of the reads"),
    ("server", "500, 502 or 503, on 5 % of the reads"),
    ("slow", "answers that take 3 s, on 5 % of the reads"),
    ("cut-off", "bodies that are cut off, on 3 % of the reads"),
    ("reset", "connections that are reset, on 3 % of the reads"),
    ("malformed", "truncated JSON, on 3 % of the reads"),
    ("html", "an HTML page instead of JSON, on 3 % of the reads"),
    ("oversized", "answers of more than 16 MB, on 1 % of the reads"),
    ("repeat-token", "a page token that repeats endlessly, on 2 % of the pages"),
    ("half-list", "a list whose later pages fail, on 20 % of those"),
    ("duplicates", "later pages that repeat items of the previous page"),
    ("skips", "later pages that omit items"),
    ("omit", "listings that omit participants who are present, on 10 % of the listings"),
    ("spoiled", "lists in which a name or a time of some items cannot be read, on 10 % of the lists"),
    ("lag", "changes that become visible up to 30 s late, rejoins up to 3 min"),
    ("forbidden", "403 PERMISSION_DENIED, on 2 % of the reads"),
    ("api-disabled", "403 SERVICE_DISABLED, on 2 % of the reads"),
    ("scope", "403 ACCESS_TOKEN_SCOPE_INSUFFICIENT, on 2 % of the reads"),
    ("unauthenticated", "401, on 2 % of the reads"),
    ("not-found", "404, on 1 % of the reads"),
    ("skew", "a Date header that is two minutes ahead"),
];

/// A name that is not one of [`PRESETS`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown fault '{name}'; did you mean '{nearest}'? Known: {}", PRESETS.map(|(name, _)| name).join(", "))]
pub struct UnknownPreset {
    pub name: String,
    pub nearest: &'static str,
}

/// Returns the rules of a preset. `seed` determines random lags.
///
/// # Errors
/// [`UnknownPreset`] with the nearest name.
pub fn preset(name: &str, seed: u64) -> Result<Vec<Rule>, UnknownPreset> {
    let some = |fault, chance| vec![Rule::new(fault).when(When::Chance(chance))];
    let lists = [GoogleMethod::ListConferences, GoogleMethod::ListParticipants, GoogleMethod::ListSessions];
    let seconds = Duration::from_secs;
    Ok(match name {
        "throttled" => some(Fault::Throttled(Hint::None), 0.05),
        "throttled-retry-after" => some(Fault::Throttled(Hint::RetryAfter(seconds(2))), 0.05),
        "throttled-retry-info" => some(Fault::Throttled(Hint::RetryInfo(seconds(2))), 0.05),
        "server" => [500, 502, 503].into_iter().flat_map(|code| some(Fault::Server(code), 0.05 / 3.0)).collect(),
        "slow" => some(Fault::Slow(seconds(3)), 0.05),
        "cut-off" => some(Fault::CutOff, 0.03),
        "reset" => some(Fault::Reset, 0.03),
        "malformed" => some(Fault::Malformed, 0.03),
        "html" => some(Fault::Html(502), 0.03),
        "oversized" => some(Fault::Oversized(16 << 20), 0.01),
        "repeat-token" => vec![Rule::new(Fault::RepeatToken).on(&lists).from_page(2).when(When::Chance(0.02))],
        "half-list" => vec![Rule::new(Fault::Server(503)).on(&lists).from_page(2).when(When::Chance(0.2))],
        "duplicates" => vec![Rule::new(Fault::Duplicates(3)).on(&lists).from_page(2)],
        "skips" => vec![Rule::new(Fault::Skips(1)).on(&lists).from_page(2)],
        "omit" => vec![Rule::new(Fault::Omit(0.3)).on(&[GoogleMethod::ListParticipants]).when(When::Chance(0.1))],
        "spoiled" => vec![Rule::new(Fault::Spoiled(0.3)).on(&lists).when(When::Chance(0.1))],
        "lag" => vec![Rule::new(Fault::Lag(Lag {
            conference: seconds(30),
            conference_end: seconds(30),
            participant: seconds(30),
            session: seconds(15),
            rejoin: seconds(180),
            leave: seconds(30),
            true_end: Duration::ZERO,
            spread: Some(seed),
        }))],
        "forbidden" => some(Fault::Forbidden(Forbidden::PermissionDenied), 0.02),
        "api-disabled" => some(Fault::Forbidden(Forbidden::ServiceDisabled), 0.02),
        "scope" => some(Fault::Forbidden(Forbidden::ScopeInsufficient), 0.02),
        "unauthenticated" => some(Fault::Unauthenticated, 0.02),
        "not-found" => some(Fault::NotFound, 0.01),
        "skew" => vec![Rule::new(Fault::Skew(SignedDuration::from_secs(120)))],
        _ => return Err(UnknownPreset { name: name.to_owned(), nearest: nearest(name) }),
    })
}

fn nearest(name: &str) -> &'static str {
    let distance = |(preset, _): &(&str, &str)| strsim::damerau_levenshtein(preset, name);
    PRESETS.iter().min_by_key(|entry| distance(entry)).map_or("", |(preset, _)| preset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_has_rules_and_an_unknown_name_suggests_the_nearest() {
        for (name, _) in PRESETS {
            assert!(!preset(name, 1).unwrap().is_empty(), "{name}");
        }
        assert_eq!(preset("throtled", 1).unwrap_err().nearest, "throttled");
    }
}
