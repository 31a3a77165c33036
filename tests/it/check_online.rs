//! `meetwatch check --online` against a simulated Google with the errors of the first days: its output, its number of requests
//! and its exit code.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use meetwatch::clock::Clock;
use meetwatch::delivery::sign::SigningSecret;
use meetwatch::sim::api::{ApiSettings, Forbidden, GoogleMethod, Strangers};
use meetwatch::sim::faults::{Fault, Rule};
use meetwatch::sim::receiver::{Receiver, ReceiverSettings};
use meetwatch::sim::world::SimPerson;
use meetwatch::sim::{Running, Settings, Simulator, Time, World};
use serde_json::Value;

use crate::event_verifier::signed_and_valid;

const MEET: &str = "https://www.googleapis.com/auth/meetings.space.readonly";
const EVERY_SCOPE: &str = "https://www.googleapis.com/auth/meetings.space.readonly,\
    https://www.googleapis.com/auth/directory.readonly,https://www.googleapis.com/auth/contacts.readonly,\
    https://www.googleapis.com/auth/contacts.other.readonly";
const CLIENT_ID: &str = "104857600000000000001";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What no output may contain: people, addresses, tokens, keys.
const SECRETS: [&str; 8] = ["Ada", "Bo ", "ada@", "bo@", "ya29", "1//", "PRIVATE", "GOCSPX"];

/// A simulated Google. Ada organizes `own` (live) and `quiet` (never used), and takes part in Bo's `club` (live). She has no
/// access to Bo's `closed`.
pub(crate) struct Google {
    pub(crate) sim: Running,
    pub(crate) folder: tempfile::TempDir,
    codes: [String; 4],
    record: String,
    /// The timeout of one request.
    timeout: &'static str,
}

/// The exit code and the output of a check.
pub(crate) struct Checked {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Google {
    pub(crate) async fn new() -> Self {
        Self::with(ApiSettings::default()).await
    }

    pub(crate) async fn with(api: ApiSettings) -> Self {
        let start = Time::default().now();
        let mut world = World::empty(3, start);
        let ada = world.add_person(SimPerson::signed_in("Ada Lovelace", "ada@example.com"));
        let bo = world.add_person(SimPerson::signed_in("Bo Andersen", "bo@example.com"));
        let spaces = [ada, ada, bo, bo].map(|organizer| world.add_space(Some(organizer)).unwrap());
        let codes = spaces.map(|space| world.space(space).code.to_string());
        let record = world.start(spaces[0], start).unwrap().to_string();
        world.join(spaces[2], ada, "laptop", start).unwrap();
        let api = ApiSettings { require_auth: true, ..api };
        let sim = Simulator::start(Settings { api, ..Settings::new(world) }).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        written(folder.path(), "key.json", &sim.service_account_key().unwrap().to_string());
        written(folder.path(), "client.json", &sim.with(|api, _| api.client_secret()).to_string());
        Self { sim, folder, codes, record, timeout: "20s" }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn fault(&self, fault: Fault) {
        self.sim.with(|api, _| api.faults.add(Rule::new(fault)));
    }

    fn reads(&self) -> u64 {
        let of = |method: GoogleMethod| self.sim.with(|api, _| api.count(method));
        GoogleMethod::ALL.into_iter().filter(|method| method.is_read()).map(of).sum()
    }

    /// The settings of a service account that acts for Ada, followed by `more`.
    fn delegated(&self, more: &str) -> String {
        format!("service_account_key = \"{}\"\nsubject = \"ada@example.com\"\n{more}", self.path("key.json").display())
    }

    /// The settings of an identity with Ada's consent to these scopes, whose refresh token Google no longer accepts.
    fn consent(&self, scopes: &str) -> String {
        let stored =
            serde_json::json!({"refresh_token": "1//gone", "scopes": scopes.split_whitespace().collect::<Vec<_>>()});
        let store = written(self.folder.path(), "ada.token.json", &stored.to_string());
        let client = self.path("client.json");
        format!("client_secret = \"{}\"\ntoken_store = \"{}\"\n", client.display(), store.display())
    }

    /// Checks a configuration of one identity, followed by `more`, in which `{own}` and the like are replaced by meeting codes.
    async fn check(&self, identity: &str, more: &str, options: &[&str]) -> Checked {
        let mut more = more.replace("{record}", &self.record);
        for (name, code) in ["{own}", "{quiet}", "{club}", "{closed}"].iter().zip(&self.codes) {
            more = more.replace(name, code);
        }
        let (google, timeout) = (self.sim.url(), self.timeout);
        let text = format!(
            "[google]\nendpoint = \"{google}\"\npeople_endpoint = \"{google}\"\ntimeout = \"{timeout}\"\n[[identity]]\nname = \"me\"\n{identity}\n{more}"
        );
        let config = written(self.folder.path(), "m.toml", &text);
        meetwatch(&[&["check", "--online", "--config", config.to_str().unwrap()], options].concat()).await
    }
}

/// Writes a file that only its owner can read.
pub(crate) fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// Runs the program and checks that its output contains none of [`SECRETS`].
pub(crate) async fn meetwatch(arguments: &[&str]) -> Checked {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meetwatch"));
    command.args(arguments).stdin(Stdio::null());
    for variable in ["GOOGLE_APPLICATION_CREDENTIALS", "CREDENTIALS_DIRECTORY", "CLOUDSDK_CONFIG", "HOME"] {
        command.env_remove(variable);
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    for secret in SECRETS {
        assert!(!out.contains(secret) && !err.contains(secret), "{secret} in: {out}{err}");
    }
    Checked { code: output.status.code(), out, err }
}

impl Checked {
    /// Asserts the exit code, and that the output has all these lines; leading white space is ignored.
    #[track_caller]
    fn is(&self, code: i32, lines: &[&str]) {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        for line in lines {
            assert!(
                self.out.lines().any(|printed| printed.trim_start() == *line),
                "not in the output: {line}\n{}",
                self.out
            );
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }
}

fn target(name: &str, what: &str) -> String {
    format!("[[target]]\nname = \"{name}\"\n{what}\n")
}

const OWN: &str = "[[target]]\nname = \"own\"\nmeeting_code = \"{own}\"\n";

#[tokio::test]
async fn each_target_is_reported_with_the_role_of_its_identity() {
    let google = Google::new().await;
    let targets = [
        target("own", "meeting_code = \"{own}\""),
        target("quiet", "meeting_code = \"{quiet}\""),
        target("club", "meeting_code = \"{club}\""),
        target("record", "conference = \"{record}\""),
        target("all", "organizer = true"),
    ];
    let hook = "[[webhook]]\nname = \"ops\"\nurl = \"http://127.0.0.1:1/\"\nsecret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n";
    let more = targets.concat() + hook;
    let checked = google.check(&google.delegated("lookup = \"people\""), &more, &[]).await;
    checked.is(
        0,
        &[
            "ok      identity me: a token for meetings.space.readonly, and the Meet API accepts it; a token for \
             directory.readonly, contacts.readonly, contacts.other.readonly, and the People API accepts it",
            "ok      target own: seen by me, its organizer; live now",
            "ok      target quiet: seen by me; not live now",
            "ok      target club: seen by me, as a participant; live now",
            "Google lists ended conferences only to the organizer: a conference that starts and ends between two polls, or \
             while the daemon is down, is not reported. To have it reported, use an identity that organizes this meeting",
            "ok      target record: seen by me, its organizer; live now",
            "ok      target all: seen by me, its organizer; live now",
            "skipped endpoint ops: not tested; --test-endpoints sends it a test event",
        ],
    );
    assert_eq!(checked.out.lines().filter(|line| !line.starts_with(' ')).count(), 8, "{}", checked.out);
    assert_eq!(checked.err, "");
    let count = |method| google.sim.with(|api, _| api.count(method));
    assert_eq!(
        (count(GoogleMethod::Token), google.reads()),
        (2, 11),
        "two tokens, one read for each, two for each target, one for the organizer target"
    );

    let json = google.check(&google.delegated(""), &more, &["--json"]).await.json();
    assert_eq!(json["ok"], true);
    assert_eq!(json["identities"][0]["apis"][0]["scopes"][0], MEET);
    let seen: Vec<_> = json["targets"].as_array().unwrap().iter().map(|t| t["seen_as"].as_str().unwrap()).collect();
    assert_eq!(seen, ["organizer", "unknown", "participant", "organizer", "organizer"]);
    assert_eq!(json["endpoints"][0]["state"], "skipped");
}

#[tokio::test]
async fn a_disabled_api_is_reported_with_the_page_that_enables_it() {
    let google = Google::new().await;
    google.fault(Fault::Forbidden(Forbidden::ServiceDisabled));
    let checked = google.check(&google.delegated("lookup = \"people\""), OWN, &[]).await;
    checked.is(
        1,
        &[
            "open: https://console.cloud.google.com/apis/library/meet.googleapis.com?project=meetwatch-sim",
            "open: https://console.cloud.google.com/apis/library/people.googleapis.com?project=meetwatch-sim",
            "skipped target own: not checked, because me cannot read",
        ],
    );
    assert!(
        checked.out.contains("but list conference records: HTTP 403 PERMISSION_DENIED SERVICE_DISABLED (api_disabled)")
    );
    assert_eq!(google.reads(), 2, "no read for the targets, which would fail in the same way");
}

#[tokio::test]
async fn a_missing_delegation_is_reported_with_the_client_id_and_every_scope() {
    let google = Google::with(ApiSettings { delegated_scopes: Some(vec![]), ..ApiSettings::default() }).await;
    let open = "open: https://admin.google.com/ac/owl/domainwidedelegation";
    let (client, scopes) = (format!("client id: {CLIENT_ID}"), format!("scopes: {MEET}"));
    let checked = google.check(&google.delegated(""), OWN, &[]).await;
    checked.is(
        1,
        &[
            "failed  identity me: no token for meetings.space.readonly: get a token: the token endpoint refused: unauthorized_client (delegation)",
            open,
            &client,
            &scopes,
            "skipped target own: not checked, because me cannot read",
        ],
    );
    assert_eq!(google.reads(), 0);

    let google =
        Google::with(ApiSettings { delegated_scopes: Some(vec![MEET.to_owned()]), ..ApiSettings::default() }).await;
    let checked = google.check(&google.delegated("lookup = \"people\""), OWN, &[]).await;
    checked.is(
        1,
        &[open, &client, &format!("scopes: {EVERY_SCOPE}"), "ok      target own: seen by me, its organizer; live now"],
    );
}

#[tokio::test]
async fn a_missing_scope_is_reported_with_the_remedy_for_its_kind_of_credentials() {
    let google = Google::new().await;
    google.fault(Fault::Forbidden(Forbidden::ScopeInsufficient));
    let checked = google.check(&google.delegated(""), OWN, &[]).await;
    checked.is(1, &[&format!("client id: {CLIENT_ID}"), &format!("scopes: {MEET}")]);
    assert!(checked.out.contains("ACCESS_TOKEN_SCOPE_INSUFFICIENT (scope_missing)"), "{}", checked.out);

    let minted =
        google.sim.with(|api, now| api.issue_token(meetwatch::sim::api::Caller::ServiceAccount, &["other"], now));
    let file = written(google.folder.path(), "access", &minted);
    let checked = google.check(&format!("access_token_file = \"{}\"", file.display()), OWN, &[]).await;
    checked.is(1, &[&format!("scopes: {MEET}")]);

    // The user granted no scope, which is known without a request.
    let checked = google.check(&google.consent("openid"), OWN, &[]).await;
    let (client, store) = (google.path("client.json"), google.path("ada.token.json"));
    let run = format!("run: meetwatch login --client-secret {} --token-store {}", client.display(), store.display());
    checked.is(1, &[&run]);
    assert!(checked.out.contains("(scope_missing)"), "{}", checked.out);
}

#[tokio::test]
async fn an_expired_consent_is_reported_with_the_seven_day_limit_and_the_login_command() {
    let google = Google::new().await;
    let checked = google.check(&google.consent(MEET), OWN, &["--json"]).await;
    assert_eq!(checked.code, Some(1));
    let trouble = &checked.json()["identities"][0]["apis"][0]["trouble"];
    assert_eq!(trouble["reason"], "credentials");
    assert!(trouble["remedy"].as_str().unwrap().contains("in testing it lasts seven days"), "{trouble}");
    assert_eq!(trouble["steps"][0]["what"], "run");
    assert!(
        trouble["steps"][0]["paste"].as_str().unwrap().starts_with("meetwatch login --client-secret "),
        "{trouble}"
    );
}

#[tokio::test]
async fn an_app_that_the_administrator_does_not_trust_is_reported_with_its_client_id() {
    let google = Google::new().await;
    let untrusted = Fault::OAuth("admin_policy_enforced", "");
    google.sim.with(|api, _| api.faults.add(Rule::new(untrusted).on(&[GoogleMethod::Token])));
    let checked = google.check(&google.consent(MEET), OWN, &[]).await;
    let client = "client id: 1053902841207-simulator.apps.googleusercontent.com";
    checked.is(1, &[client, &format!("scopes: {MEET}")]);
}

#[tokio::test]
async fn a_target_without_access_fails_and_the_others_are_still_checked() {
    for (strangers, reason) in [(Strangers::Forbidden, "no_access"), (Strangers::NotFound, "not_found")] {
        let google = Google::with(ApiSettings { strangers, ..ApiSettings::default() }).await;
        let more = target("closed", "meeting_code = \"{closed}\"") + OWN;
        let json = google.check(&google.delegated(""), &more, &["--json"]).await;
        assert_eq!(json.code, Some(1));
        let (closed, own) = (&json.json()["targets"][0], &json.json()["targets"][1]);
        assert_eq!((&closed["state"], &closed["trouble"]["reason"]), (&"failed".into(), &reason.into()));
        assert!(closed["trouble"]["remedy"].as_str().unwrap().contains("organizes"), "{closed}");
        assert_eq!((&own["state"], &own["seen_as"]), (&"ok".into(), &"organizer".into()));
    }
}

#[tokio::test]
async fn a_service_account_without_a_subject_is_reported_as_seeing_nothing() {
    let google = Google::new().await;
    let itself = format!("service_account_key = \"{}\"", google.path("key.json").display());
    let more = target("all", "organizer = true") + OWN;
    let checked = google.check(&itself, &more, &[]).await;
    checked
        .is(1, &["a service account organizes no meetings: set the identity's `subject` to the user for whom it acts"]);
    assert_eq!(checked.out.matches("set the identity's `subject` to ").count(), 2, "{}", checked.out);
}

fn receiver_settings(secret: &str) -> ReceiverSettings {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    ReceiverSettings::new(listen, signed_and_valid(SigningSecret::parse(secret).unwrap()))
}

#[tokio::test]
async fn endpoints_are_tested_only_on_request_and_one_that_refuses_is_a_failure() {
    let google = Google::new().await;
    let good = Receiver::start(receiver_settings(SECRET)).await.unwrap();
    let other = Receiver::start(receiver_settings("whsec_b3RoZXIgc2VjcmV0IG9mIDI0IGJ5dGVz")).await.unwrap();
    let hook = |name: &str, url: String| {
        format!("[[webhook]]\nname = \"{name}\"\nurl = \"{url}\"\nsecret = \"{SECRET}\"\nnames = \"none\"\n")
    };
    let both = OWN.to_owned() + &hook("good", good.url()) + &hook("other", other.url());
    google.check(&google.delegated(""), &both, &[]).await.is(0, &[]);
    assert_eq!((good.counts().accepted, other.counts().refused), (0, 0), "no test was requested");
    let checked = google.check(&google.delegated(""), &both, &["--test-endpoints"]).await;
    checked.is(1, &["check that the receiver has the same secret, and whether it requires `headers`"]);
    assert!(
        checked.out.contains("ok      endpoint good: accepted the test event: status 204 after "),
        "{}",
        checked.out
    );
    assert!(checked.out.contains("failed  endpoint other: did not accept the test event: unauthorized, status 401"));
    assert!(!checked.out.contains("whsec_"));
    assert_eq!((good.counts().accepted, other.counts().refused), (1, 1));
    assert_eq!(good.deliveries()[0].json()["type"], "webhook.test");
    let alone = OWN.to_owned() + &hook("good", good.url());
    google.check(&google.delegated(""), &alone, &["--test-endpoints"]).await.is(0, &[]);
}

#[tokio::test]
async fn a_google_that_hangs_is_waited_for_with_a_bound() {
    let google = Google { timeout: "1s", ..Google::new().await };
    google.fault(Fault::Slow(Duration::from_secs(600)));
    let targets: String = (0..20).map(|n| target(&format!("t{n}"), "meeting_code = \"{own}\"")).collect();
    let clock = Clock::new();
    let began = clock.now().mono;
    let checked = google.check(&google.delegated(""), &targets, &[]).await;
    assert_eq!(checked.code, Some(1), "{}{}", checked.out, checked.err);
    assert!(checked.out.contains("(timeout)"), "{}", checked.out);
    assert_eq!(checked.out.matches("skipped target").count(), 20);
    let took = clock.now().mono.saturating_sub(began);
    assert!(took < Duration::from_secs(60), "{took:?}");
    assert!(google.reads() <= 2, "{}", google.reads());

    // The same, when the identity can read and only its targets hang.
    let google = Google { timeout: "1s", ..Google::new().await };
    let hangs = Rule::new(Fault::Slow(Duration::from_secs(600))).on(&[GoogleMethod::GetSpace]);
    google.sim.with(|api, _| api.faults.add(hangs));
    let checked = google.check(&google.delegated(""), &targets, &[]).await;
    assert!(checked.out.contains("failed  target t0: me cannot see it: get space: "), "{}", checked.out);
    assert_eq!(checked.out.matches("skipped target").count(), 19);
}

#[tokio::test]
async fn an_invalid_configuration_makes_no_request_and_the_log_leaks_nothing() {
    let google = Google::new().await;
    let checked = google.check(&google.delegated("subjekt = 1"), OWN, &["--json"]).await;
    assert_eq!((checked.code, checked.out.as_str(), google.reads()), (Some(78), "", 0), "{}", checked.err);
    // At trace level; the libraries handle tokens and the subject.
    let checked = google.check(&google.delegated("lookup = \"people\""), OWN, &["--log", "trace"]).await;
    checked.is(0, &[]);
}
