//! The mistakes of a first day: each is answered by a plain sentence that says where it is and what to do.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use meetwatch::model::TargetName;
use meetwatch::watch::TargetSelector;

use crate::check_online::{Checked, Google, meetwatch, written};
use crate::config_problems::{parsed, problems};

const IDENTITY: &str = "[[identity]]\nname = \"me\"\napplication_default = true\n";

/// Runs the program on a machine without CA certificates.
fn without_certificates(arguments: &[&str]) -> Checked {
    let empty = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_meetwatch"));
    command.args(arguments).stdin(Stdio::null());
    for variable in ["GOOGLE_APPLICATION_CREDENTIALS", "CREDENTIALS_DIRECTORY", "CLOUDSDK_CONFIG", "HOME"] {
        command.env_remove(variable);
    }
    command.env("SSL_CERT_FILE", empty.path().join("none.pem")).env("SSL_CERT_DIR", empty.path());
    let output = command.output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    Checked { code: output.status.code(), out, err }
}

async fn check(config: &Path) -> Checked {
    meetwatch(&["check", "--config", config.to_str().unwrap()]).await
}

fn warnings(text: &str) -> Vec<String> {
    parsed(text).unwrap().warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn the_demonstration_needs_no_ca_certificates() {
    let ran = without_certificates(&["demo", "--seconds", "3"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("The event log agrees with the simulation."), "{}", ran.out);
}

#[test]
fn https_without_ca_certificates_is_refused_with_the_remedy_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let (store, said) = (folder.path().join("m.db"), "this machine has no CA certificates");
    let rest = format!("[store]\npath = \"{}\"\n[server]\nlisten = \"127.0.0.1:0\"\n", store.display());
    let config = written(folder.path(), "m.toml", &format!("{IDENTITY}{rest}"));
    for arguments in [&["check"][..], &["check", "--online"], &["run"]] {
        let ran = without_certificates(&[arguments, &["--config", config.to_str().unwrap()]].concat());
        assert!(![Some(0), None].contains(&ran.code), "{arguments:?}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(said) && ran.err.contains("install the package `ca-certificates`"), "{}", ran.err);
    }
    assert!(!store.exists());
}

#[test]
fn a_wrong_webhook_is_refused_before_a_store_is_made_or_changed() {
    let secret = "secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"";
    let (http, https) = ("url = \"http://127.0.0.1:1\"", "url = \"https://127.0.0.1:1\"");
    let template = format!("{http}\nformat = \"template\"");
    for (hook, said) in [
        (format!("url = \"example.com/hook\"\n{secret}"), "webhook.url: must be an address"),
        (format!("{http}\nsecret_file = \"nosuch\""), "webhook.secret_file: the file does not exist"),
        (format!("{http}\nsecret_file = \"folder\""), "webhook.secret_file: the file is not a regular file"),
        (format!("{http}\nsecret_file = \"empty\""), "webhook.secret_file: "),
        (
            format!("{https}\n{secret}\ncertificate_authority = \"nosuch\""),
            "webhook.certificate_authority: the file does",
        ),
        (format!("{https}\n{secret}\ncertificate_authority = \"empty\""), "webhook.certificate_authority: must hold"),
        (format!("{http}\n{secret}\nproxy = \"nonsense\""), "webhook.proxy: must be an address"),
        (format!("{template}\ntemplate = \"{{{{ nope\""), "webhook.template: the template fails"),
        (format!("{template}\ntemplate_file = \"broken.j2\""), "webhook.template_file: the template fails"),
        (format!("{https}\n{secret}"), "deliveries cannot be sent: this machine has no CA certificates"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("folder")).unwrap();
        fs::write(path("empty"), "").unwrap();
        fs::write(path("broken.j2"), "{{ nope").unwrap();
        let text = format!(
            "[google]\nendpoint = \"http://127.0.0.1:1\"\n{IDENTITY}[[webhook]]\nname = \"ops\"\n{hook}\n\
             [store]\npath = \"m.db\"\n[server]\nlisten = \"127.0.0.1:0\"\n"
        );
        let config = written(folder.path(), "m.toml", &text);
        let ran = without_certificates(&["run", "--config", config.to_str().unwrap()]);
        assert_eq!(ran.code, Some(78), "{hook}: {}{}", ran.out, ran.err);
        let refusal = ran.err.lines().find(|line| line.contains(said));
        assert_eq!(refusal.map(|line| line.matches(said).count()), Some(1), "{hook}: {}", ran.err);
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["broken.j2", "empty", "folder", "m.toml"], "{hook}");
        // A store that is there is not even opened: this one could not be.
        fs::write(path("m.db"), "no store").unwrap();
        let ran = without_certificates(&["run", "--config", config.to_str().unwrap()]);
        assert!(ran.code == Some(78) && ran.err.contains(said), "{hook}: {}", ran.err);
        assert_eq!(fs::read(path("m.db")).unwrap(), b"no store", "{hook}");
    }
}

#[test]
fn an_https_webhook_without_ca_certificates_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let google = "[google]\nendpoint = \"http://127.0.0.1:1\"\n";
    let hook = "[[webhook]]\nname = \"ops\"\nurl = \"https://example.com\"\nsecret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n";
    let config = written(folder.path(), "m.toml", &format!("{google}{IDENTITY}{hook}"));
    let ran = without_certificates(&["check", "--config", config.to_str().unwrap()]);
    assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("webhook ops: this machine has no CA certificates"), "{}", ran.err);
    let plain = written(folder.path(), "m.toml", &format!("{google}{IDENTITY}"));
    let ran = without_certificates(&["check", "--config", plain.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
}

#[test]
fn a_pasted_link_is_taken_as_a_meeting_code() {
    for pasted in [
        "https://meet.google.com/abc-mnop-xyz",
        "https://meet.google.com/abc-mnop-xyz?authuser=1",
        "meet.google.com/ABC-MNOP-XYZ",
        "ABC-MNOP-XYZ",
        "abcmnopxyz",
    ] {
        let config = parsed(&format!("{IDENTITY}[[target]]\nname = \"t\"\nmeeting_code = \"{pasted}\"\n")).unwrap();
        let TargetSelector::MeetingCode(code) = &config.targets[0].selector else { panic!("{pasted}") };
        assert_eq!(code.as_str(), "abc-mnop-xyz", "{pasted}");
    }
    for (key, value, advice) in [
        ("meeting_code", "https://meet.google.com/lookup/standup", "join the meeting and copy the address"),
        ("meeting_code", "spaces/abc", "set `space` to this value"),
        ("meeting_code", "conferenceRecords/a", "set `conference` to this value"),
        ("space", "https://meet.google.com/abc-mnop-xyz", "set `meeting_code` to this value"),
        ("conference", "spaces/abc", "set `space` to this value"),
        ("meeting_code", "https://example.com/abc-mnop-xyz", "or the link of a meeting"),
    ] {
        let told = problems(&format!("{IDENTITY}[[target]]\nname = \"t\"\n{key} = \"{value}\"\n"));
        assert!(told.iter().any(|problem| problem.contains(advice)), "{key}: {told:?}");
    }
}

#[tokio::test]
async fn a_private_key_is_tried_offline_and_an_escaped_one_is_accepted() {
    let google = Google::new().await;
    let key = google.sim.service_account_key().unwrap();
    let config = format!(
        "[google]\nendpoint = \"{0}\"\n[[identity]]\nname = \"me\"\nservice_account_key = \"k.json\"\nsubject = \"ada@example.com\"\n\
         [[target]]\nname = \"t\"\norganizer = true\n",
        google.sim.url()
    );
    let config = written(google.folder.path(), "m.toml", &config);
    let with_key = |pem: &str| {
        let mut key = key.clone();
        key["private_key"] = pem.into();
        written(google.folder.path(), "k.json", &key.to_string())
    };
    let pem = key["private_key"].as_str().unwrap().to_owned();
    for garbage in
        ["garbage", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", &pem[..pem.len() / 2], ""]
    {
        with_key(garbage);
        let checked = check(&config).await;
        assert_eq!((checked.code, checked.out.as_str()), (Some(1), ""), "{}", checked.err);
        let said = "identity me: the private key in the key file cannot be used (credentials); download";
        assert!(checked.err.contains(said), "{}", checked.err);
    }
    for good in [pem.clone(), pem.replace('\n', "\\n"), pem.replace('\n', " ")] {
        with_key(&good);
        let checked = check(&config).await;
        assert_eq!(checked.code, Some(0), "{}", checked.err);
        let online = meetwatch(&["check", "--online", "--config", config.to_str().unwrap()]).await;
        assert_eq!(online.code, Some(0), "{}{}", online.out, online.err);
    }
}

#[tokio::test]
async fn a_service_account_that_watches_without_a_subject_is_said_offline() {
    let google = Google::new().await;
    let identity = "[[identity]]\nname = \"robot\"\nservice_account_key = \"key.json\"\n";
    for what in ["organizer = true", "meeting_code = \"abc-mnop-xyz\""] {
        let text =
            format!("[google]\nendpoint = \"{}\"\n{identity}[[target]]\nname = \"t\"\n{what}\n", google.sim.url());
        let checked = check(&written(google.folder.path(), "m.toml", &text)).await;
        assert_eq!((checked.code, checked.out.as_str()), (Some(1), ""), "{}", checked.err);
        assert!(
            checked.err.contains("identity robot: ") && checked.err.contains("set its `subject`"),
            "{}",
            checked.err
        );
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_made_is_refused_by_check() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), "file", "");
    for (path, said) in [
        ("none/m.db", "m.toml:5: store.path: the folder does not exist; create it or correct the path"),
        ("file/m.db", "m.toml:5: store.path: has a file where a folder is needed"),
        (".", "m.toml:5: store.path: is a folder; add the name"),
    ] {
        let config = written(folder.path(), "m.toml", &format!("{IDENTITY}[store]\npath = \"{path}\"\n"));
        let checked = check(&config).await;
        assert_eq!((checked.code, checked.out.as_str()), (Some(78), ""), "{path}: {}", checked.err);
        assert!(checked.err.contains(said), "{path}: {}", checked.err);
    }
    let config = written(folder.path(), "m.toml", &format!("{IDENTITY}[store]\npath = \"m.db\"\n"));
    assert_eq!(check(&config).await.code, Some(0));
}

#[test]
fn two_targets_for_the_same_are_a_warning() {
    let same = |first: &str, second: &str| {
        let text = format!("{IDENTITY}[[target]]\nname = \"a\"\n{first}\n[[target]]\nname = \"b\"\n{second}\n");
        warnings(&text).into_iter().any(|warning| {
            warning.starts_with("m.toml:9: target.") && warning.contains("same as that of the target in line 5")
        })
    };
    assert!(same("meeting_code = \"abc-mnop-xyz\"", "meeting_code = \"https://meet.google.com/ABC-MNOP-XYZ\""));
    assert!(same("space = \"spaces/a\"", "space = \"spaces/a\""));
    assert!(same("conference = \"conferenceRecords/a\"", "conference = \"conferenceRecords/a\""));
    assert!(same("organizer = true", "organizer = true"));
    assert!(!same("meeting_code = \"abc-mnop-xyz\"", "meeting_code = \"abc-mnop-xyq\""));
    assert!(!same("organizer = true", "space = \"spaces/a\""));
}

#[tokio::test]
async fn a_wrong_subject_is_reported_with_its_line_offline_and_online() {
    let google = Google::new().await;
    let text = format!(
        "[google]\nendpoint = \"{}\"\n[[identity]]\nname = \"staff\"\nservice_account_key = \"key.json\"\nsubjects_file = \"staff.txt\"\n",
        google.sim.url()
    );
    let config = written(google.folder.path(), "m.toml", &text);
    let with = |line_100: &str| {
        let lines: Vec<&str> = (1..=400).map(|line| if line == 100 { line_100 } else { "# nobody" }).collect();
        written(google.folder.path(), "staff.txt", &format!("\u{feff}{}\r\nbo@example.com\r\n", lines.join("\r\n")))
    };
    for malformed in ["wrong", "wrong@example.com,", "<wrong@example.com>"] {
        let file = with(malformed);
        let checked = check(&config).await;
        let said =
            format!("m.toml:6: identity.subjects_file: line 100 of {} must be the e-mail address", file.display());
        assert_eq!(checked.code, Some(78));
        assert!(checked.err.contains(&said) && !checked.err.contains("wrong"), "{}", checked.err);
    }
    let file = with("wrong@example.com");
    assert_eq!(check(&config).await.code, Some(0));
    let online = meetwatch(&["check", "--online", "--config", config.to_str().unwrap()]).await;
    assert_eq!(online.code, Some(1), "{}{}", online.out, online.err);
    let failed: Vec<&str> = online.out.lines().filter(|line| line.starts_with("failed  identity staff.")).collect();
    assert!(failed.len() == 1 && failed[0].contains(&format!(" ({}:100): ", file.display())), "{}", online.out);
    let json = meetwatch(&["check", "--online", "--json", "--config", config.to_str().unwrap()]).await;
    assert!(json.out.contains(&format!("\"source\": \"{}:100\"", file.display())), "{}", json.out);
}

#[test]
fn the_problem_with_a_value_says_in_which_form_it_is_right() {
    for (text, wanted) in [
        ("[watch]\ndiscovery = 30", "watch.discovery: must be a duration in quotes and with its unit, such as \"30s\""),
        ("[watch]\ndiscovery = 0.5", "must be a duration in quotes and with its unit"),
        ("[watch]\ndiscovery = \"30\"", "the units are `s`, `m`, `h` and `d`"),
        ("[watch]\ndiscovery = \"30 Sek\"", "the units are `s`, `m`, `h` and `d`"),
        ("[watch]\ndiscovery = \"5M\"", "must be from 1s to 1h; `M` means months, and `m` minutes"),
        ("[watch]\ndiscovery = \"2h\"", "must be a duration from 1s to 1h"),
        ("[store]\nretention = \"1m\"", "must be a duration from 1h to 3650d"),
        (
            "[google.quota]\nreads_per_minute_user = \"600\"",
            "must be a whole number from 1 to 10000000, without quotes",
        ),
        ("[google.quota]\nspend = 80", "must be a number above 0 and at most 1, such as 0.8"),
        ("[google]\nallow_http = \"true\"", "must be true or false, without quotes"),
        (
            "[log]\nlevel = \"warning\"",
            "log.level: must be one of `error`, `warn`, `info`, `debug` and `trace`; did you mean `warn`?",
        ),
        ("[log]\nlevel = \"INFO\"", "did you mean `info`?"),
        ("[[target]]\nname = \"Müller-7b\"\norganizer = true", "from a to z or A to Z (no umlauts, accents or spaces)"),
        ("[[target]]\nname = \"7 b\"\norganizer = true", "(no umlauts, accents or spaces)"),
    ] {
        let told = problems(&format!("{text}\n{IDENTITY}"));
        assert!(told.len() == 1 && told[0].contains(wanted), "{text}: {told:?}");
    }
    assert!(TargetName::parse("Mueller-7b").is_ok());
}

#[test]
fn a_bad_secret_is_answered_with_the_command_that_makes_a_good_one() {
    for bad in ["whsec_", "whsec_!!", "c2hvcnQ=", "hunter2"] {
        let hook = format!("[[webhook]]\nname = \"w\"\nurl = \"https://example.com\"\nsecret = \"{bad}\"\n");
        let told = problems(&format!("{hook}{IDENTITY}"));
        assert!(told.len() == 1 && told[0].contains("`meetwatch secret new` makes one"), "{told:?}");
        assert!(bad == "whsec_" || !told[0].contains(bad), "{told:?}");
    }
}

#[tokio::test]
async fn a_file_that_everybody_can_read_is_a_warning_once() {
    let google = Google::new().await;
    let key = google.path("key.json");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let text = "[[identity]]\nname = \"me\"\nservice_account_key = \"key.json\"\nsubject = \"ada@example.com\"\n";
    let text = format!("[google]\nendpoint = \"{}\"\n{text}", google.sim.url());
    let checked = check(&written(google.folder.path(), "m.toml", &text)).await;
    assert_eq!(checked.code, Some(0), "{}", checked.err);
    assert_eq!(checked.err.matches("every user of this machine can read").count(), 1, "{}", checked.err);
}

#[tokio::test]
async fn a_proxys_password_in_a_file_that_everybody_can_read_is_a_warning() {
    let google = Google::new().await;
    for (proxy, warnings) in [("http://ada:hush@127.0.0.1:1", 1), ("http://127.0.0.1:1", 0)] {
        let text = format!("[google]\nendpoint = \"{}\"\nproxy = \"{proxy}\"\n{IDENTITY}", google.sim.url());
        let file = written(google.folder.path(), "m.toml", &text);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        let checked = check(&file).await;
        assert_eq!(checked.err.matches("google.proxy: is a secret").count(), warnings, "{}", checked.err);
        assert!(!checked.err.contains("hush"), "{}", checked.err);
    }
}

#[tokio::test]
async fn a_demonstration_of_no_time_is_refused_in_plain_words() {
    for bad in ["0", "-1", "1.5", "soon", "1000000"] {
        let refused = meetwatch(&["demo", &format!("--seconds={bad}")]).await;
        assert_eq!(refused.code, Some(2), "{bad}: {}", refused.err);
        assert!(refused.err.contains("must be a whole number of seconds from 1 to 86400"), "{bad}: {}", refused.err);
    }
}

#[tokio::test]
async fn a_port_that_is_taken_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!(
        "[google]\nendpoint = \"http://127.0.0.1:1\"\n{IDENTITY}[store]\npath = \"m.db\"\n[server]\nlisten = \"{}\"\n",
        taken.local_addr().unwrap()
    );
    let config = written(folder.path(), "m.toml", &text);
    let ran = meetwatch(&["run", "--config", config.to_str().unwrap()]).await;
    assert_eq!(ran.code, Some(1), "{}", ran.err);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["m.toml"]);
}

#[test]
fn the_readme_says_what_is_needed_to_build() {
    let readme = include_str!("../../README.md");
    let version = env!("CARGO_PKG_RUST_VERSION");
    assert!(readme.contains(&format!("Rust {version} or later")) && readme.contains("a C compiler"));
}
