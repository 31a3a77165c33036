//! The commands that ask a running daemon: what they need for it, what they refuse, and what they print.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::extract::RawQuery;
use axum::http::{StatusCode, header};
use axum::response::Html;
use axum::routing::get;

use crate::house::House;
use crate::kill_daemon::write_private;
use crate::repair_daemon::{Daemon, webhook};
use crate::serve_openapi::lived_in;
use crate::webhook_receiver::{Answer, Receiver};

/// Runs the program with these arguments and no variable of the environment that it reads.
async fn meetwatch(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_meetwatch"));
    command.args(arguments).env_remove("MEETWATCH_URL").env_remove("MEETWATCH_TOKEN_FILE").kill_on_drop(true);
    command.envs(environment.iter().copied());
    tokio::time::timeout(std::time::Duration::from_secs(30), command.output()).await.unwrap().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Returns what the program says when it refuses: one line.
async fn refusal(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let output = meetwatch(arguments, environment).await;
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.lines().count() == 1, "{arguments:?}: {said}{}", text(&output.stdout));
    said
}

/// A client of the daemon of a house, without its configuration.
struct Client {
    url: String,
    token: String,
}

impl Client {
    fn of(house: &House) -> Self {
        let token = house.path("meetwatch.db.token").display().to_string();
        Self { url: format!("http://{}", house.address()), token }
    }

    async fn told(&self, arguments: &[&str]) -> String {
        let output = meetwatch(&[arguments, &["--url", &self.url, "--token-file", &self.token]].concat(), &[]).await;
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    async fn refused(&self, arguments: &[&str]) -> String {
        refusal(&[arguments, &["--url", &self.url, "--token-file", &self.token]].concat(), &[]).await
    }
}

#[tokio::test]
async fn a_client_needs_only_the_address_and_a_token() {
    let receiver = Receiver::start(Answer::Status(204)).await;
    let daemon = Daemon::start(&webhook("ops", &receiver, ""), Vec::new()).await;
    let config = daemon.config.display().to_string();
    // Somebody mistyped something while the daemon runs.
    let spoiled = std::fs::read_to_string(&daemon.config).unwrap() + "\n[[webhok]]\nname = \n[[webhook]]\nurl = 7\n";
    std::fs::write(&daemon.config, spoiled).unwrap();
    let output = meetwatch(&["status", "--config", &config], &[]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let output = meetwatch(&["reload", "--config", &config], &[]).await;
    assert!(!output.status.success() && text(&output.stderr).contains("webhok"), "{}", text(&output.stderr));

    let url = format!("http://{}", daemon.address);
    let token = daemon.config.with_file_name("m.db.token").display().to_string();
    for arguments in [&["status"][..], &["endpoints", "-o", "csv"], &["health"], &["conferences", "--json"]] {
        let output = meetwatch(arguments, &[("MEETWATCH_URL", &url), ("MEETWATCH_TOKEN_FILE", &token)]).await;
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    }
    let said = refusal(&["status", "--url", &url], &[]).await;
    assert!(said.contains("asks for a token; name the file that holds it with --token-file"), "{said}");
    let wrong = daemon.config.with_file_name("wrong");
    write_private(&wrong, "another-token-of-some-length");
    let said = refusal(&["status", "--url", &url, "--token-file", &wrong.display().to_string()], &[]).await;
    assert!(said.contains("refuses the token in ") && said.contains("server.api.token_file"), "{said}");
    daemon.stop().await;
}

#[tokio::test]
async fn a_user_who_may_not_read_the_token_is_told_which_file_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let config = folder.path().join("m.toml");
    let store = folder.path().join("m.db");
    std::fs::write(&config, format!("[store]\npath = \"{}\"\n", store.display())).unwrap();
    std::fs::set_permissions(&config, PermissionsExt::from_mode(0o644)).unwrap();
    let token = folder.path().join("m.db.token");
    std::fs::write(&token, "t".repeat(43)).unwrap();
    std::fs::set_permissions(&token, PermissionsExt::from_mode(0o000)).unwrap();
    // A copy that a user without rights may run, wherever the tree lies.
    let program = folder.path().join("meetwatch");
    std::fs::copy(env!("CARGO_BIN_EXE_meetwatch"), &program).unwrap();
    let said = |config: &Path| {
        let mut command = std::process::Command::new(&program);
        command.args(["status", "--config"]).arg(config).current_dir("/");
        if rustix::process::geteuid().is_root() {
            command.uid(65534).gid(65534);
        }
        text(&command.output().unwrap().stderr)
    };
    let why = said(&config);
    assert!(why.contains(&format!("may not read the daemon's token in {}", token.display())), "{why}");
    assert!(why.contains("run the command as root") && why.lines().count() == 1, "{why}");
    std::fs::set_permissions(&config, PermissionsExt::from_mode(0o000)).unwrap();
    let why = said(&config);
    assert!(why.starts_with(&config.display().to_string()) && why.contains("--url"), "{why}");
}

/// Serves these routes and returns their address.
async fn serving(routes: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

#[tokio::test]
async fn what_is_no_meetwatch_or_another_version_is_named_in_one_sentence() {
    let proxy = || async { (StatusCode::BAD_GATEWAY, Html("<h1>Bad gateway</h1>")) };
    let said = refusal(&["status", "--url", &serving(Router::new().fallback(proxy)).await], &[]).await;
    assert!(said.contains("is not meetwatch: it answered with an HTML page (status 502)"), "{said}");
    let login = || async { (StatusCode::FOUND, [(header::LOCATION, "https://login.example.com/")]) };
    let said = refusal(&["status", "--url", &serving(Router::new().fallback(login)).await], &[]).await;
    assert!(said.contains("it answered with a redirect (status 302)"), "{said}");
    let page = || async { Html("<p>it works") };
    let said = refusal(&["health", "--url", &serving(Router::new().fallback(page)).await], &[]).await;
    assert!(said.contains("is not meetwatch"), "{said}");

    let status = get(|| async { r#"{"version": "0.0.9", "revision": "abc"}"# });
    let older = Router::new().route("/api/v1/status", status).fallback(|| async {
        (StatusCode::BAD_REQUEST, r#"{"error": "unknown query parameter `tail`; known: `after`"}"#)
    });
    let said = refusal(&["events", "--tail", "3", "--url", &serving(older).await], &[]).await;
    assert!(said.contains("is meetwatch 0.0.9 (abc), which does not know this request"), "{said}");

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://ada:hush@{free}");
    for command in ["status", "health"] {
        let said = refusal(&[command, "--url", &url], &[]).await;
        assert!(said.contains("the connection was refused; check the address") && !said.contains("hush"), "{said}");
    }
    let said = refusal(&["status", "--url", "127.0.0.1:9840"], &[]).await;
    assert!(said.starts_with("meetwatch: --url must be an address such as http://"), "{said}");
    let said = refusal(&["status", "--url", "unix:/nonexistent/http.sock"], &[]).await;
    assert!(said.contains("the socket does not exist"), "{said}");
}

#[tokio::test]
async fn a_certificate_that_expired_or_is_not_trusted_is_named_in_one_sentence() {
    let certs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/certs");
    let receiver = Receiver::start(Answer::Status(204)).await;
    let daemon = Daemon::start(
        &format!(
            "tls_certificate = \"{0}/expired.pem\"\ntls_key = \"{0}/expired.key\"\n{1}",
            certs.display(),
            webhook("ops", &receiver, "")
        ),
        Vec::new(),
    )
    .await;
    let url = format!("https://{}", daemon.address);
    let ca = certs.join("ca.pem").display().to_string();
    let said = refusal(&["status", "--url", &url], &[("SSL_CERT_FILE", &ca)]).await;
    assert!(said.contains("has expired; renew it"), "{said}");
    let stranger = certs.join("client.pem").display().to_string();
    let said = refusal(&["status", "--url", &url], &[("SSL_CERT_FILE", &stranger)]).await;
    assert!(said.contains("SSL_CERT_FILE") || said.contains("has expired"), "{said}");
    let said = refusal(&["status", "--url", &format!("http://{}", daemon.address)], &[]).await;
    assert!(said.contains("its address begins with https://"), "{said}");
    daemon.stop().await;
}

#[tokio::test]
async fn an_unknown_name_is_refused_with_the_nearest_one() {
    let mut house = lived_in().await;
    let client = Client::of(&house);
    let day = "--date";
    for (arguments, nearest) in [
        (&["report", "--target", "bord"][..], "no such target; did you mean `board`?"),
        (&["report", day, "today", "--target", "nosuch"], "no such target; configured: `board`"),
        (&["events", "--target", "bord"], "did you mean `board`?"),
        (&["conferences", "--target", "bord"], "did you mean `board`?"),
        (&["who", "bord"], "did you mean `board`?"),
        (&["deliveries", "--endpoint", "opps"], "no such endpoint; did you mean `ops`?"),
        (&["deliveries", "replay", "--endpoint", "opps", "--dead"], "did you mean `ops`?"),
        (&["endpoints", "enable", "opps"], "did you mean `ops`?"),
        (&["endpoints", "test", "nosuch"], "no such endpoint is configured; configured: `ops`"),
    ] {
        let said = client.refused(arguments).await;
        assert!(said.contains(nearest), "{arguments:?}: {said}");
    }
    assert!(client.told(&["report", "--target", "board"]).await.contains("Ada"));
    house.stop().await;
}

#[tokio::test]
async fn who_is_in_a_call_and_how_many_calls_there_are() {
    let mut house = lived_in().await;
    let client = Client::of(&house);
    let all = client.told(&["who"]).await;
    let ada = all.lines().find(|line| line.contains("Ada")).unwrap();
    assert!(ada.contains("observed") || ada.contains("backfilled"), "{all}");
    assert!(all.starts_with("CODE ") && !all.contains("Bo"), "{all}");
    let code = ada.split_whitespace().next().unwrap();
    assert_eq!(client.told(&["who", &format!("https://meet.google.com/{}", code.to_uppercase())]).await, all);
    assert_eq!(client.told(&["who", "board"]).await, all);
    assert_eq!(client.told(&["who", &code.replace('-', "")]).await, all);
    assert_eq!(client.told(&["who", "zzz-zzzz-zzz"]).await, "no such call is live now\n");
    let neither = client.told(&["who", "operations"]).await;
    assert_eq!(neither, "no target is named operations, and no call with operations as its code is live now\n");
    let conferences = client.told(&["conferences"]).await;
    assert!(conferences.ends_with(" present\n") && conferences.contains(code), "{conferences}");
    for line in all.lines().chain(conferences.lines()) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    house.stop().await;
}

#[tokio::test]
async fn a_target_whose_name_looks_like_a_code_is_found() {
    let conferences = get(async |RawQuery(query): RawQuery| {
        let live = r#"{"conferences": [{"name": "conferenceRecords/c", "phase": "live", "meeting_code": null,
                       "participants": [{"name": "conferenceRecords/c/participants/a", "display_name": "Ada"}]}]}"#;
        let is_target = matches!(query.as_deref(), Some("target=operations" | "target=ops-team-all"));
        if is_target { live } else { r#"{"conferences": []}"# }
    });
    let url = serving(Router::new().route("/api/v1/conferences", conferences)).await;
    for target in ["operations", "ops-team-all"] {
        let output = meetwatch(&["who", target, "--url", &url], &[]).await;
        assert!(output.status.success() && text(&output.stdout).contains("Ada"), "{target}: {output:?}");
    }
}

#[tokio::test]
async fn a_page_of_the_log_without_events_is_not_its_end() {
    let log = get(async |RawQuery(query): RawQuery| {
        let query = query.unwrap_or_default();
        if query.contains("after=0") {
            r#"{"events": [], "next": 20000}"#
        } else if query.contains("after=20000") {
            r#"{"events": [{"position": 20007}], "next": 20010}"#
        } else {
            r#"{"events": [], "next": 20010}"#
        }
    });
    let url = serving(Router::new().route("/api/v1/events", log)).await;
    let output = meetwatch(&["events", "--person", "Ada", "--json", "--url", &url], &[]).await;
    assert_eq!(text(&output.stdout), "{\"position\":20007}\n", "{}", text(&output.stderr));
}

#[tokio::test]
async fn following_ends_at_ctrl_c_although_an_answer_does_not_come() {
    let asked = Arc::new(AtomicU32::new(0));
    let (count, (hangs, mut hanging)) = (asked.clone(), tokio::sync::mpsc::channel(9));
    let log = get(async move || {
        // After the first answer the client is idle once.
        if count.fetch_add(1, Ordering::Relaxed) > 0 {
            hangs.send(()).await.unwrap();
            std::future::pending::<()>().await;
        }
        r#"{"events": [], "next": 0}"#
    });
    let url = serving(Router::new().route("/api/v1/events", log)).await;
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_meetwatch"));
    let arguments = ["events", "--follow", "--after", "0", "--url", &url];
    let mut client = command.args(arguments).env_remove("MEETWATCH_TOKEN_FILE").kill_on_drop(true).spawn().unwrap();
    let bound = std::time::Duration::from_secs(30);
    tokio::time::timeout(bound, hanging.recv()).await.unwrap().unwrap();
    let id = i32::try_from(client.id().unwrap()).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(id).unwrap(), rustix::process::Signal::INT).unwrap();
    assert!(tokio::time::timeout(bound, client.wait()).await.unwrap().unwrap().success());
}

#[tokio::test]
async fn the_log_is_filtered_by_the_daemon_and_its_end_is_shown() {
    let mut house = lived_in().await;
    let client = Client::of(&house);
    let events = async |more: &[&str]| {
        let told = client.told(&[&["events", "--json"], more].concat()).await;
        told.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()).collect::<Vec<_>>()
    };
    let all = events(&[]).await;
    assert_eq!(events(&["--tail", "2"]).await, all[all.len() - 2..]);
    assert_eq!(events(&["--target", "board"]).await, all);
    assert_eq!(events(&["--since", "1d", "--until", "now"]).await, all);
    assert!(events(&["--until", "yesterday"]).await.is_empty());
    let ended = events(&["--type", "conference.ended"]).await;
    assert_eq!(ended.len(), 1);
    let of_bo = events(&["--person", "bo"]).await;
    assert!(!of_bo.is_empty() && of_bo.iter().all(|entry| entry["event"]["participant"]["display_name"] == "Bo"));
    let code = ended[0]["event"]["conference"]["meeting_code"].as_str().unwrap();
    assert_eq!(events(&["--conference", code]).await.len(), all.len());
    let name = ended[0]["event"]["conference"]["name"].as_str().unwrap();
    let of_one = events(&["--conference", name, "--type", "participant.joined", "--tail", "10"]).await;
    assert_eq!(of_one.len(), 2);
    let position = of_one[0]["position"].as_u64().unwrap().to_string();
    assert!(
        events(&["--after", &position, "--conference", name]).await.iter().all(|entry| entry["position"] != position)
    );

    let lines = client.told(&["events", "--tail", "3"]).await;
    for line in lines.lines() {
        let (position, rest) = line.trim_start().split_once("  ").unwrap();
        assert!(position.parse::<u64>().is_ok() && rest[..10].parse::<jiff::civil::Date>().is_ok(), "{line}");
        assert!(line.chars().count() <= 80, "{line}");
    }
    let csv = client.told(&["events", "--tail", "1", "-o", "csv"]).await;
    assert!(csv.starts_with("position,time,observed_at,type,") && csv.lines().count() == 2, "{csv}");
    house.stop().await;
}
