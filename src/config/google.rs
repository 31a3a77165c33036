//! `[google]` and `[google.quota]`.

use std::time::Duration;

use reqwest::Url;

use super::address;
use super::files::ReferencedFiles;
use super::section::Section;
use crate::meet::settings::{GoogleSettings, QuotaSettings};

/// The cap on reads a minute: more than any quota grants.
const MAX_READS: u32 = 10_000_000;

pub(super) fn read(section: &Section<'_>, files: &ReferencedFiles<'_>) -> GoogleSettings {
    let default = GoogleSettings::default();
    let allow_http = section.flag("allow_http").is_some_and(|flag| flag.value);
    let second = Duration::from_secs(1);
    GoogleSettings {
        endpoint: endpoint(section, "endpoint", allow_http).unwrap_or(default.endpoint),
        people_endpoint: endpoint(section, "people_endpoint", allow_http).unwrap_or(default.people_endpoint),
        proxy: address::proxy(section, files).map(|found| found.value),
        internal_domains: section.each("internal_domains", "domains such as \"example.com\"", domain),
        quota: section.table("quota", quota),
        timeout: section.duration("timeout", default.timeout, second..=300 * second),
        token_timeout: section.duration("token_timeout", default.token_timeout, second..=60 * second),
        ..default
    }
}

fn endpoint(section: &Section<'_>, key: &'static str, allow_http: bool) -> Option<Url> {
    let text = section.text(key)?;
    let url = address::http(&text, text.value)?;
    if url.value.query().is_some() || url.value.fragment().is_some() {
        url.problem("must not have a query (`?`) or a fragment (`#`)");
        return None;
    }
    address::require_https(section, &url, allow_http, "access tokens");
    Some(url.value)
}

fn domain(text: &str) -> Option<String> {
    let label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let is_domain = text.len() <= 253 && text.contains('.') && text.split('.').all(label);
    is_domain.then(|| text.to_ascii_lowercase())
}

fn quota(section: &Section<'_>) -> QuotaSettings {
    let default = QuotaSettings::default();
    let reads = |key, default| section.integer(key, default, 1..=MAX_READS);
    QuotaSettings {
        reads_per_minute_project: reads("reads_per_minute_project", default.reads_per_minute_project),
        reads_per_minute_user: reads("reads_per_minute_user", default.reads_per_minute_user),
        people_reads_per_minute_user: reads("people_reads_per_minute_user", default.people_reads_per_minute_user),
        spend: section.share("spend", default.spend),
    }
}
