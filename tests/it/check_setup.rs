//! Runs each command in `docs/GOOGLE_SETUP.md` against a simulated Google in the state that the text describes, and compares
//! the output with the text.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use meetwatch::meet::auth::Scopes;
use meetwatch::meet::error::Reason;
use meetwatch::meet::request::GoogleApi;
use meetwatch::meet::settings::{Credentials, IdentitySettings};
use meetwatch::meet::{ReadError, setup_steps};
use meetwatch::model::{IdentityName, MeetingCode};
use meetwatch::sim::api::{ApiSettings, Forbidden, GoogleMethod};
use meetwatch::sim::faults::{Fault, Rule};
use meetwatch::sim::world::SimPerson;
use meetwatch::sim::{Running, Settings, Simulator, Time, World};

use crate::check_online::{meetwatch, written};

const TEXT: &str = include_str!("../../docs/GOOGLE_SETUP.md");

/// A fenced block: the info string and the lines, without the indentation of the fence.
struct Block {
    info: &'static str,
    lines: Vec<&'static str>,
}

fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = TEXT.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.trim_start().strip_prefix("```") else { continue };
        let margin = line.len() - line.trim_start().len();
        let inside = lines.by_ref().take_while(|line| line.trim() != "```");
        blocks.push(Block { info, lines: inside.map(|line| line.get(margin..).unwrap_or_default()).collect() });
    }
    blocks
}

/// The transcripts by name: the commands, and what they print.
fn transcripts() -> BTreeMap<&'static str, (Vec<&'static str>, Vec<&'static str>)> {
    let named = |block: Block| {
        let name = block.info.strip_prefix("console ")?;
        let (commands, output) = block.lines.into_iter().partition::<Vec<_>, _>(|line| line.starts_with("$ "));
        Some((name, (commands, output)))
    };
    blocks().into_iter().filter_map(named).collect()
}

/// The role of Alice, for whom the identity acts, in the meeting abc-mnop-xyz.
enum Alice {
    Organizes,
    TakesPart,
    IsNobodyThere,
}

struct Walk {
    sim: Running,
    folder: tempfile::TempDir,
}

impl Walk {
    async fn begin(alice_is: Alice, api: ApiSettings) -> Self {
        let start = Time::default().now();
        let mut world = World::empty(5, start);
        let alice = world.add_person(SimPerson::signed_in("Alice", "alice@example.com"));
        let bob = world.add_person(SimPerson::signed_in("Bob", "bob@example.com"));
        let (organizer, guest) = match alice_is {
            Alice::Organizes => (alice, bob),
            Alice::TakesPart => (bob, alice),
            Alice::IsNobodyThere => (bob, bob),
        };
        let space = world.add_space_under(MeetingCode::parse("abc-mnop-xyz").unwrap(), Some(organizer)).unwrap();
        world.join(space, guest, "laptop", start).unwrap();
        let api = ApiSettings { require_auth: true, ..api };
        let sim = Simulator::start(Settings { api, ..Settings::new(world) }).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let walk = Self { sim, folder };
        std::fs::create_dir_all(walk.folder.path().join("etc/meetwatch")).unwrap();
        std::fs::create_dir_all(walk.folder.path().join("var/lib/meetwatch")).unwrap();
        walk.write("etc/meetwatch/key.json", &walk.sim.service_account_key().unwrap().to_string());
        walk.write("etc/meetwatch/client.json", &walk.sim.with(|api, _| api.client_secret()).to_string());
        walk
    }

    fn write(&self, path: &str, text: &str) {
        let (folder, name) = path.rsplit_once('/').unwrap();
        written(&self.folder.path().join(folder), name, text);
    }

    /// Replaces the paths of the text by those on this machine.
    fn here(&self, text: &str) -> String {
        let root = self.folder.path().display();
        text.replace("/etc/meetwatch", &format!("{root}/etc/meetwatch"))
            .replace("/var/lib/meetwatch", &format!("{root}/var/lib/meetwatch"))
    }

    /// The output with the paths of the text.
    fn there(&self, printed: &str) -> Vec<String> {
        let printed = printed.replace(&self.folder.path().display().to_string(), "");
        printed.replace("project=meetwatch-sim", "project=my-project").lines().map(str::to_owned).collect()
    }

    /// Writes the configuration of the text with this identity.
    fn configure(&self, identity: &str, change: (&str, &str)) {
        let is_it =
            |block: &Block| block.info == "toml" && block.lines.iter().any(|l| *l == format!("name = \"{identity}\""));
        let block = blocks().into_iter().find(is_it).unwrap();
        let google = self.sim.url();
        let config = format!(
            "[google]\nendpoint = \"{google}\"\npeople_endpoint = \"{google}\"\n{}\n",
            self.here(&block.lines.join("\n")).replace(change.0, change.1)
        );
        self.write("etc/meetwatch/meetwatch.toml", &config);
    }

    /// Runs the commands of a transcript and compares their output.
    async fn goes_as_told(&self, name: &str, code: i32) {
        let (commands, output) = &transcripts()[name];
        for command in commands {
            let command = self.here(command.strip_prefix("$ meetwatch ").unwrap());
            let ran = meetwatch(&command.split(' ').collect::<Vec<_>>()).await;
            assert_eq!(ran.code, Some(code), "{name}: {}{}", ran.out, ran.err);
            assert_eq!(ran.err, "", "{name}");
            if !output.is_empty() {
                assert_eq!(self.there(&ran.out), *output, "{name}");
            }
        }
    }

    /// Logs in as the text says, with the button of the consent page pressed.
    async fn log_in(&self) {
        let (commands, output) = &transcripts()["login"];
        let arguments = self.here(commands[0].strip_prefix("$ meetwatch ").unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_meetwatch"));
        command.args(arguments.split(' ')).arg("--no-browser").stdin(Stdio::null()).stdout(Stdio::piped());
        let (found, address) = tokio::sync::oneshot::channel();
        let login = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
            let address = lines.by_ref().find(|line| line.trim().starts_with("http://"));
            found.send(address.unwrap()).unwrap();
            let last = lines.last().unwrap();
            (child.wait().unwrap().code(), last)
        });
        let answered = reqwest::get(address.await.unwrap().trim()).await.unwrap();
        assert_eq!(answered.status().as_u16(), 200);
        let (code, last) = login.await.unwrap();
        assert_eq!((code, self.there(&last)), (Some(0), output.iter().map(|&line| line.to_owned()).collect()));
    }
}

const AS_IT_IS: (&str, &str) = ("", "");

#[tokio::test]
async fn the_transcripts_of_delegation_are_right() {
    let bare = ApiSettings { delegated_scopes: Some(vec![]), ..ApiSettings::default() };
    let walk = Walk::begin(Alice::Organizes, bare).await;
    walk.configure("organizer", AS_IT_IS);
    walk.goes_as_told("delegation", 1).await;

    let scopes = Scopes::Meet.as_slice().iter().map(|&scope| scope.to_owned()).collect();
    let entered = ApiSettings { delegated_scopes: Some(scopes), ..ApiSettings::default() };
    let walk = Walk::begin(Alice::Organizes, entered).await;
    walk.configure("organizer", AS_IT_IS);
    walk.goes_as_told("well", 0).await;
    walk.goes_as_told("by_hand", 0).await;
    walk.configure("organizer", ("alice@example.com", "alias@example.com"));
    walk.goes_as_told("subject", 1).await;
    walk.configure("organizer", AS_IT_IS);
    walk.sim.with(|api, _| api.faults.add(Rule::new(Fault::Forbidden(Forbidden::ServiceDisabled))));
    walk.goes_as_told("api_disabled", 1).await;
}

#[tokio::test]
async fn the_transcripts_of_a_users_consent_are_right() {
    let walk = Walk::begin(Alice::Organizes, ApiSettings::default()).await;
    walk.log_in().await;
    walk.configure("alice", ("name = \"alice\"", "name = \"alice\"\nlookup = \"people\""));
    walk.goes_as_told("scope_missing", 1).await;
    walk.configure("alice", AS_IT_IS);
    walk.sim.with(|api, _| {
        let gone = Fault::OAuth("invalid_grant", "Token has been expired or revoked.");
        api.faults.add(Rule::new(gone).on(&[GoogleMethod::Token]));
    });
    walk.goes_as_told("consent_gone", 1).await;
}

#[tokio::test]
async fn the_transcripts_without_the_organizer_are_right() {
    for (alice, name, code) in [(Alice::TakesPart, "participant", 0), (Alice::IsNobodyThere, "stranger", 1)] {
        let walk = Walk::begin(alice, ApiSettings::default()).await;
        walk.configure("organizer", AS_IT_IS);
        walk.goes_as_told(name, code).await;
    }
}

#[test]
fn every_transcript_is_run_and_every_reason_and_scope_is_in_the_text() {
    let walked = [
        "api_disabled",
        "by_hand",
        "consent_gone",
        "delegation",
        "login",
        "participant",
        "scope_missing",
        "stranger",
        "subject",
        "well",
    ];
    assert_eq!(transcripts().into_keys().collect::<Vec<_>>(), walked);
    let commands = TEXT.lines().filter(|line| line.trim_start().starts_with("$ ")).count();
    assert_eq!(commands, walked.len() + 1, "a command that is in no transcript");
    for reason in Reason::ALL {
        let row = TEXT.lines().any(|line| line.starts_with("| `") && line.contains(&format!("`{reason}`")));
        assert!(row, "{reason} is not explained");
    }
    let all: Vec<_> = Scopes::ALL.iter().flat_map(|scopes| scopes.as_slice()).copied().collect();
    assert!(blocks().iter().any(|block| block.lines == all), "the scopes to enter are others");
    let identity = IdentitySettings {
        name: IdentityName::parse("me").unwrap(),
        credentials: Credentials::ApplicationDefault { file: Some("/default.json".into()) },
        lookup_people: false,
    };
    let (reason, attempted) = (Reason::ScopeMissing, "get a token");
    let error = ReadError {
        reason,
        attempted,
        detail: String::new(),
        remedy: "",
        retry_after: None,
        used_up: None,
        requests: 0,
    };
    let steps = setup_steps::steps(&identity, GoogleApi::Meet, &error);
    assert!(TEXT.lines().any(|line| line == steps[0].paste), "gcloud is to be asked for {}", steps[0]);
}
