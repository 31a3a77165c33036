//! Which libraries may not speak below a warning, whatever the operator's log level: they write down what nobody may
//! see. yup-oauth2 logs keys, requests and tokens at `debug`; the HTTP stack logs addresses that name people, and
//! headers, at `debug` and `trace`.

/// The prefixes of the log targets to cap at `warn`, for the setup of the logs.
pub const QUIET_TARGETS: [&str; 9] =
    ["yup_oauth2", "reqwest", "hyper", "hyper_util", "hyper_rustls", "h2", "rustls", "tower", "tower_http"];

/// Whether a line with this target is one of theirs. Such a line is kept only from `warn` upwards.
#[must_use]
pub fn is_quiet(target: &str) -> bool {
    let root = target.split("::").next().unwrap_or(target);
    QUIET_TARGETS.contains(&root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_known_by_its_crate() {
        assert!(is_quiet("yup_oauth2::authenticator") && is_quiet("h2"));
        assert!(!is_quiet("meetwatch::meet::client") && !is_quiet("hyperion"));
    }
}
