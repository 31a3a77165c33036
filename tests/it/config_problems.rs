//! The problems of a configuration are reported all at once, each with its line and what is allowed. `config_secrecy` checks
//! that they repeat no value.

use std::path::Path;

use meetwatch::config::{Config, Environment, Origin, Problems, parse};
use proptest::prelude::*;

pub(crate) fn parsed(text: &str) -> Result<Config, Problems> {
    let environment = Environment::default();
    let folder = Path::new("/nonexistent");
    parse(text, &Origin { file: "m.toml", folder, environment: &environment, world_readable: false })
}

pub(crate) fn problems(text: &str) -> Vec<String> {
    parsed(text).unwrap_err().as_slice().iter().map(ToString::to_string).collect()
}

/// The problems of a text, with the minimum that a configuration needs added to it.
fn problems_of(text: &str) -> Vec<String> {
    problems(&format!("{text}\n[[identity]]\nname = \"me\"\napplication_default = true\n"))
}

fn has(problems: &[String], parts: &[&str]) -> bool {
    problems.iter().any(|problem| parts.iter().all(|part| problem.contains(part)))
}

#[test]
fn all_problems_are_reported_at_once_each_with_its_line() {
    let text = r#"
[google]
endpont = "https://example.com"
[google.quota]
spend = 1.5
[[identity]]
name = "me"
application_default = true
[[target]]
name = "board"
identity = "mee"
meeting_code = "not a code"
poll_interval = "0s"
[[target]]
name = "board"
space = "spaces/a"
conference = "conferenceRecords/a"
[[webhook]]
name = "ops"
url = "ftp://example.com"
events = ["participant.joind"]
kinds = ["guest"]
targets = ["bored"]
[watcher]
"#;
    let reported = problems(text);
    for parts in [
        ["m.toml:3: google.endpont: unknown key", "`endpoint`"],
        ["m.toml:5: google.quota.spend: ", "above 0 and at most 1"],
        ["m.toml:11: target.identity: no [[identity]] has this name", "`me`"],
        ["m.toml:12: target.meeting_code: ", "abc-mnop-xyz"],
        ["m.toml:13: target.poll_interval: ", "from 1s to 1h"],
        ["m.toml:14: target: has more than one of", "`meeting_code`"],
        ["m.toml:15: target.name: is already the name of another target in line 10", ""],
        ["m.toml:18: webhook.secret: is missing", "secret_file"],
        ["m.toml:20: webhook.url: ", "https://"],
        ["m.toml:21: webhook.events: ", "did you mean `participant.joined`?"],
        ["m.toml:22: webhook.kinds: must be one of", "`anonymous`"],
        ["m.toml:23: webhook.targets: no [[target]] has this name", "`board`"],
        ["m.toml:24: watcher: unknown key", "`watch`"],
    ] {
        assert!(has(&reported, &parts), "{parts:?} is not in {reported:#?}");
    }
    assert_eq!(reported.len(), 13, "{reported:#?}");
}

#[test]
fn syntax_errors_are_reported_together_with_the_other_problems() {
    let reported = problems_of("[watch]\ndiscovery = 30s\nbackfil = \"1m\"");
    assert!(has(&reported, &["m.toml:2: syntax error"]), "{reported:?}");
    assert!(has(&reported, &["m.toml:3: watch.backfil", "`backfill`"]), "{reported:?}");
    assert_eq!(reported.len(), 2, "{reported:?}");
}

#[test]
fn what_an_unparsed_part_may_contain_is_not_reported_as_missing() {
    let reported = problems("[[identity\nname = \"me\"\napplication_default = true\n");
    assert!(!reported.is_empty() && reported.iter().all(|problem| !problem.contains("there is none")), "{reported:?}");
}

#[test]
fn a_configuration_without_an_identity_is_refused() {
    assert!(has(&problems(""), &["m.toml: identity: there is none"]));
}

#[test]
fn a_configuration_that_watches_nothing_is_a_warning() {
    let config = parsed("[[identity]]\nname = \"me\"\napplication_default = true\n").unwrap();
    assert!(config.warnings[0].to_string().contains("nothing is watched"));
}

#[test]
fn a_name_that_looks_like_an_address_is_a_warning() {
    let config = parsed("[[identity]]\nname = \"ada@example.com\"\napplication_default = true\n").unwrap();
    assert!(config.warnings.iter().any(|warning| warning.to_string().contains("m.toml:2: identity.name: looks like")));
}

#[test]
fn a_malformed_name_is_reported_once_and_not_again_where_it_is_used() {
    let reported = problems(
        "[[identity]]\nname = \"my own\"\napplication_default = true\n\
         [[target]]\nname = \"t\"\nidentity = \"my own\"\norganizer = true\n",
    );
    assert_eq!(reported.len(), 1, "{reported:?}");
    assert!(has(&reported, &["m.toml:2: identity.name: must be 1 to 64 letters"]), "{reported:?}");
}

#[test]
fn an_identity_has_exactly_one_kind_of_credentials() {
    assert!(has(&problems("[[identity]]\nname = \"a\""), &["m.toml:1: identity: has no credentials"]));
    let both = "[[identity]]\nname = \"a\"\napplication_default = true\naccess_token_file = \"t\"";
    assert!(has(&problems(both), &["m.toml:1: identity: has several kinds of credentials"]));
    let off = "[[identity]]\nname = \"a\"\napplication_default = false";
    assert!(has(&problems(off), &["m.toml:3: identity.application_default: must be `true`"]));
    let half = "[[identity]]\nname = \"a\"\napplication_default = true\ntoken_store = \"t\"";
    assert!(has(&problems(half), &["m.toml:4: identity.token_store: is used with `client_secret` only"]));
}

#[test]
fn delegation_without_a_key_file_is_reported_as_unsupported() {
    for key in ["subject = \"a@example.com\"", "subjects = [\"a@example.com\"]"] {
        let reported = problems(&format!("[[identity]]\nname = \"a\"\napplication_default = true\n{key}"));
        assert!(has(&reported, &["needs `service_account_key`", "not supported"]), "{reported:?}");
    }
}

#[test]
fn a_target_may_leave_out_the_identity_only_if_there_is_one() {
    let one = "[[identity]]\nname = \"a\"\napplication_default = true\n";
    let target = "[[target]]\nname = \"t\"\norganizer = true\n";
    let config = parsed(&format!("{one}{target}")).unwrap();
    assert_eq!(config.targets[0].identity.as_str(), "a");
    let two = format!("{one}[[identity]]\nname = \"b\"\napplication_default = true\n{target}");
    assert!(has(&problems(&two), &["target.identity: is missing"]));
}

#[test]
fn the_problem_with_a_section_in_the_wrong_form_says_how_to_write_it() {
    assert!(has(&problems("[identity]\nname = \"a\""), &["identity: is not a list; write `[[identity]]`"]));
    assert!(has(&problems_of("[[watch]]"), &["watch: is a list; write `[watch]`, once"]));
    assert!(has(&problems_of("watch = 3"), &["watch: is a single value; write a section `[watch]`"]));
}

#[test]
fn tokens_and_deliveries_are_not_sent_unencrypted_unless_it_is_allowed() {
    let hook = |url: &str, more: &str| {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        problems_of(&format!(
            "[[webhook]]\nname = \"w\"\nurl = \"{url}\"\nsecret = \"{secret}\"\n{more}\n[[target]]\nname = 1"
        ))
    };
    let refused = ["webhook.url: would send deliveries unencrypted", "allow_http"];
    assert!(has(&hook("http://hooks.example.com/x", ""), &refused));
    for (url, more) in [
        ("http://hooks.example.com/x", "allow_http = true"),
        ("http://127.0.0.1:8080/x", ""),
        ("http://[::1]:8080", ""),
        ("http://localhost:1", ""),
        ("https://hooks.example.com", ""),
    ] {
        assert!(!has(&hook(url, more), &["webhook.url"]), "{url}");
    }
    let google = problems_of("[google]\nendpoint = \"http://meet.example.com\"");
    assert!(has(&google, &["m.toml:2: google.endpoint: would send access tokens unencrypted", "google.allow_http"]));
}

#[test]
fn listening_beyond_this_machine_needs_a_token_unless_only_metrics_and_health_are_open() {
    let refused = ["server.listen: can be reached from other machines", "server.token_file"];
    assert!(has(&problems_of("[server]\nlisten = \"0.0.0.0:9840\""), &refused));
    assert!(has(&problems_of("[server]\nlisten = \"0.0.0.0:9840\"\nexpose = [\"metrics\"]"), &refused));
    for good in [
        "[server]\nlisten = \"[::]:9840\"\nexpose = [\"health\", \"metrics\"]",
        "[server]\nlisten = \"0.0.0.0:9840\"\ntoken = \"0123456789abcdef\"",
        "[server]\nlisten = \"localhost:9840\"",
    ] {
        let text = format!("{good}\n[[identity]]\nname = \"me\"\napplication_default = true\n");
        parsed(&text).unwrap_or_else(|problems| panic!("{good}: {problems}"));
    }
    assert!(has(&problems_of("[server]\ntoken = \"short\""), &["server.token: must be at least 16"]));
}

#[test]
fn tokens_over_an_unencrypted_network_are_a_warning() {
    let warnings = |server: &str| {
        let text = format!("[server]\n{server}\n[[identity]]\nname = \"me\"\napplication_default = true\n");
        parsed(&text).unwrap().warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let token = "token = \"0123456789abcdef\"";
    assert!(has(&warnings(&format!("listen = \"0.0.0.0:9840\"\n{token}")), &["m.toml:2: server.listen: tokens and"]));
    for quiet in [
        format!("listen = \"[::1]:9840\"\n{token}"),
        "listen = \"0.0.0.0:1\"\nexpose = [\"metrics\", \"health\"]".into(),
    ] {
        assert!(!has(&warnings(&quiet), &["server.listen"]), "{quiet}");
    }
}

#[test]
fn the_keys_of_the_server_have_to_be_consistent() {
    for (server, wanted) in [
        ("listen = \"unix:\"", ["m.toml:2: server.listen: must be an address and a port", "unix:/run"]),
        ("socket_mode = \"0660\"", ["m.toml:2: server.socket_mode: is used with a socket", ""]),
        ("listen = \"unix:/run/s\"\nsocket_mode = \"0999\"", ["m.toml:3: server.socket_mode: must be", "octal"]),
        ("tls_key = \"k\"", ["m.toml:2: server.tls_key: needs both", "tls_certificate"]),
        (
            "tls_certificate = \"c\"\ntls_key = \"k\"",
            ["m.toml:2: server.tls_certificate: the certificate cannot be read", ""],
        ),
        ("[server.api]\ntoken = \"short\"", ["m.toml:3: server.api.token: must be at least 16", ""]),
        (
            "[server.metrics.basic_auth_users]\nada = \"sesame\"",
            ["m.toml:3: server.metrics.basic_auth_users: must be the bcrypt hash", ""],
        ),
        ("[server.metrics]\nbasic_auth_users = 7", ["m.toml:3: server.metrics.basic_auth_users: must be a table", ""]),
    ] {
        let problems = problems_of(&format!("[server]\n{server}"));
        assert!(has(&problems, &wanted), "{server}: {problems:?}");
        assert!(!problems.iter().any(|problem| problem.contains("sesame")), "{problems:?}");
    }
}

#[test]
fn the_problems_of_a_webhook_name_what_its_format_needs_and_what_has_no_effect() {
    let head = "[[webhook]]\nname = \"w\"\nurl = \"https://example.com/\"\n";
    let secret = "secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n";
    for (more, wanted) in [
        ("format = \"slak\"", ["m.toml:4: webhook.format: must be one of", "`slack`"]),
        ("format = \"cloudevents\"", ["webhook.secret: is missing", "signed"]),
        ("format = \"template\"", ["webhook.template_file: is missing", "template"]),
        ("format = \"template\"\ntemplate = \"{{ x }}\"", ["m.toml:5: webhook.template: cannot write", "undefined"]),
        (
            "format = \"template\"\ntemplate = \"{% if %}\"",
            ["m.toml:5: webhook.template: the template fails", "line 1"],
        ),
        ("format = \"slack\"\ntime_zone = \"Mars\"", ["m.toml:5: webhook.time_zone: must be", "Europe/Berlin"]),
        ("names = \"hidden\"", ["m.toml:4: webhook.names: must be one of", "`pseudonym`"]),
        ("username = \"me\"", ["m.toml:4: webhook.username: needs a `password`", "password_file"]),
        ("password = \"me\"", ["m.toml:4: webhook.password: needs a `username`", ""]),
        ("headers = [\"Webhook-Id: x\"]", ["m.toml:4: webhook.headers: sets `webhook-id`", "itself"]),
        ("headers = [\"nothing\"]", ["m.toml:4: webhook.headers: must be `Name: value`", ""]),
        ("client_key = \"k\"", ["m.toml:4: webhook.client_key: needs a `client_certificate`", ""]),
        ("certificate_authority = \"c\"", ["m.toml:4: webhook.certificate_authority: the file", "does not exist"]),
        ("proxy = \"p:1\"", ["m.toml:4: webhook.proxy: must be an address", ""]),
        (
            "allow_private = false\nproxy = \"http://p:1\"",
            ["m.toml:5: webhook.proxy: cannot be combined with", "allow_private"],
        ),
        ("max_events = 1", ["m.toml:4: webhook.max_events: must be", "2 to 1000"]),
        ("max_wait = \"1h\"", ["m.toml:4: webhook.max_wait: must be", "10m"]),
        ("format = \"slack\"\nmax_events = 5", ["webhook.max_events: has no effect", "`digest`"]),
        ("digest = \"5s\"", ["webhook.digest: has no effect", "`max_events`"]),
        ("ordered = false\nmax_wait = \"5s\"", ["m.toml:4: webhook.ordered: cannot be `false`", "max_wait"]),
        ("max_age = \"5s\"\nmax_wait = \"5s\"", ["webhook.max_age: must be longer", "wait"]),
        ("ordered = false\nsettle = \"5s\"", ["m.toml:4: webhook.ordered: cannot be `false`", "settle"]),
        ("settle = \"2h\"", ["m.toml:4: webhook.settle: must be", "1h"]),
        ("success_body = \"(\"", ["m.toml:4: webhook.success_body: is no regular expression", "simplify"]),
        ("failure_body = \"\"", ["m.toml:4: webhook.failure_body: is empty", "remove the key"]),
        ("failure_body = '(a{100}){100}'", ["webhook.failure_body: is no regular expression", "simplify"]),
        ("schedule = []", ["webhook.schedule: must have 1 to 50", ""]),
        ("schedule = [\"5s\", \"0s\"]", ["m.toml:4: webhook.schedule: must be", "1s to 1d"]),
        ("rate = \"0/s\"", ["m.toml:4: webhook.rate: must be", "1/s"]),
        ("rate = \"-1/s\"", ["m.toml:4: webhook.rate: must be", "above 0"]),
        ("rate = \"10001/s\"", ["m.toml:4: webhook.rate: must be", "10000"]),
        ("rate = \"1/day\"", ["m.toml:4: webhook.rate: must be", "30/m"]),
        ("rate = 1", ["m.toml:4: webhook.rate: must be", "string"]),
        ("drain_per_second = 0", ["m.toml:4: webhook.drain_per_second: must be", "1 to 100000"]),
    ] {
        let reported = problems_of(&format!("{head}{more}"));
        assert!(has(&reported, &wanted), "{wanted:?} is not in {reported:#?}");
    }
    let reported = problems_of(&format!("{head}{secret}format = \"slack\""));
    assert!(has(&reported, &["webhook.secret: has no effect", "url_file"]), "{reported:?}");
    let reported = problems_of(&format!("{head}{secret}template = \"{{}}\""));
    assert!(has(&reported, &["webhook.template: is used with", "template"]), "{reported:?}");
    let inner = "[[webhook]]\nname = \"w\"\nurl = \"https://10.0.0.1/\"\nallow_private = false\n";
    let reported = problems_of(&format!("{inner}{secret}"));
    assert!(
        has(&reported, &["m.toml:3: webhook.url: is not an address of the public internet", "allow_private"]),
        "{reported:?}"
    );
}

#[test]
fn a_chat_needs_no_secret_and_gets_no_events_of_single_devices() {
    let text = "[[identity]]\nname = \"me\"\napplication_default = true\n[[webhook]]\nname = \"w\"\n\
                url = \"https://example.com/\"\nformat = \"google-chat\"\nbearer_token = \"abc\"\n";
    let config = parsed(text).unwrap();
    let webhook = &config.webhooks[0];
    assert!(webhook.secrets.is_empty());
    assert_eq!((webhook.concurrency, webhook.rate), (1, None), "one message at a time");
    let wanted = |event| webhook.route.events.iter().any(|pattern| pattern.matches(event));
    use meetwatch::model::EventType::{ConferenceEnded, ParticipantLeft, SessionStarted, WatchGap};
    assert_eq!([ConferenceEnded, ParticipantLeft, WatchGap, SessionStarted].map(wanted), [true, true, true, false]);
    assert!(!format!("{config:?}").contains("abc"));
}

/// Pieces of configurations, so that some of the generated texts get past the parser.
fn pieces() -> impl Strategy<Value = String> {
    static KEYS: &[&str] =
        &["name", "url", "secret", "events", "identity", "poll_interval", "subjects", "listen", "spend", "zzz"];
    static VALUES: &[&str] = &[
        "1",
        "-1.5e3",
        "\"\"",
        "\"10s\"",
        "\"99999999999999999999y\"",
        "[]",
        "[[1]]",
        "{}",
        "true",
        "1979-05-27",
        "\"é\u{202e}\"",
    ];
    static HEADERS: &[&str] = &[
        "[google]",
        "[google.quota]",
        "[[identity]]",
        "[[target]]",
        "[[webhook]]",
        "[server]",
        "[[watch]]",
        "[\"a.b\"]",
    ];
    let line = prop_oneof![
        (prop::sample::select(KEYS), prop::sample::select(VALUES)).prop_map(|(key, value)| format!("{key} = {value}")),
        prop::sample::select(HEADERS).prop_map(str::to_owned),
        "\\PC{0,20}",
    ];
    prop::collection::vec(line, 0..30).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic_and_every_reported_line_is_in_the_file(text in prop_oneof![pieces(), "(?s).{0,200}"]) {
        if let Err(problems) = parsed(&text) {
            let lines = text.split('\n').count();
            for problem in problems.as_slice() {
                prop_assert!(problem.line.is_none_or(|line| (1..=lines).contains(&line)), "{problem} of {lines}");
                prop_assert!(!problem.to_string().contains('\n'), "{problem:?}");
            }
        }
    }
}
