//! The real daemon in a bad place: Google away, no open files left, its store gone, its clock wrong.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use jiff::SignedDuration;
use meetwatch::sim::faults::{Fault, Rule};
use meetwatch::sim::{Running, Settings, Simulator, Time, World};

use crate::house::House;
use crate::kill_daemon::{Daemon, PATIENCE, write_private};

/// The configuration of a daemon with `targets` conferences at `google`, which it asks every second.
fn configure(folder: &Path, google: &str, targets: usize) -> PathBuf {
    write_private(&folder.join("access"), "any-token");
    let mut text = format!(
        "[google]\nendpoint = \"{google}\"\npeople_endpoint = \"{google}\"\n[google.quota]\n\
         reads_per_minute_project = 60000\nreads_per_minute_user = 60000\n\
         [[identity]]\nname = \"me\"\naccess_token_file = \"access\"\n\
         [store]\npath = \"{}\"\n[server]\nlisten = \"{}\"\n[watch]\ndiscovery = \"1s\"\n",
        folder.join("m.db").display(),
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap(),
    );
    for number in 0..targets {
        write!(text, "[[target]]\nname = \"t{number}\"\nconference = \"conferenceRecords/c{number}\"\n").unwrap();
    }
    let config = folder.join("m.toml");
    write_private(&config, &text);
    config
}

fn run(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meetwatch"));
    command.arg("run").arg("--config").arg(config);
    command
}

/// Returns the address in a configuration.
fn address(config: &Path) -> String {
    let text = std::fs::read_to_string(config).unwrap();
    let listen = text.lines().find_map(|line| line.strip_prefix("listen = "));
    listen.unwrap().trim_matches('"').to_owned()
}

/// Asks until the answer to `path` contains `wanted`, and returns it.
async fn answers(config: &Path, path: &str, wanted: &str) -> String {
    until(config, path, |text| text.contains(wanted)).await
}

/// Asks until the answer to `path` is as wanted, and returns it.
async fn until(config: &Path, path: &str, is_wanted: impl Fn(&str) -> bool) -> String {
    let url = format!("http://{}{path}", address(config));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let asking = async {
        loop {
            if let Ok(response) = client.get(&url).send().await
                && let Ok(text) = response.text().await
                && is_wanted(&text)
            {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{path} never answered as wanted"))
}

async fn simulator() -> Running {
    Simulator::start(Settings::new(World::empty(1, Time::default().now()))).await.unwrap()
}

#[tokio::test]
async fn an_outage_of_google_with_100_targets_is_one_warning_and_its_end_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let google = simulator().await;
    google.with(|api, _| api.faults.add(Rule::new(Fault::Server(503))));
    let config = configure(folder.path(), google.url(), 100);
    let mut daemon = Daemon::spawn(run(&config), folder.path());
    let line = daemon.says("an outage").await;
    assert!(line.contains("\"reason\":\"server\"") && line.contains("\"level\":\"WARN\""), "{line}");
    // Each of the hundred has failed.
    let failures = |line: &str| {
        let line = line.strip_prefix("meetwatch_api_request_failures_total{")?;
        line.split_once("reason=\"server\"} ")?.1.parse::<f64>().ok()
    };
    until(&config, "/metrics", |text| text.lines().filter_map(failures).sum::<f64>() >= 100.0).await;
    google.with(|api, _| api.faults.clear());
    let line = daemon.says("the outage is over").await;
    assert!(line.contains("\"seconds\":") && line.contains("\"level\":\"INFO\""), "{line}");
    let log = daemon.log();
    let of_reads = |line: &&str| line.contains("\"level\":\"WARN\"") && line.contains("\"reason\":\"server\"");
    assert_eq!(log.lines().filter(of_reads).count(), 1, "{log}");
}

#[tokio::test]
async fn with_64_open_files_a_flood_of_connections_leaves_the_credentials_readable_and_the_log_short() {
    let folder = tempfile::tempdir().unwrap();
    let google = simulator().await;
    let config = configure(folder.path(), google.url(), 3);
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 64; exec \"$0\" run --config \"$1\"", env!("CARGO_BIN_EXE_meetwatch")]).arg(&config);
    let mut daemon = Daemon::spawn(command, folder.path());
    daemon.says("metrics are at").await;
    let mut held = Vec::new();
    for _ in 0..200 {
        held.push(tokio::net::TcpStream::connect(address(&config)).await.unwrap());
    }
    // Some of those who hold on are let go, and whoever asks is answered.
    answers(&config, "/livez", "alive").await;
    answers(&config, "/metrics", "limit=\"http_connections\"").await;
    let log = daemon.log();
    assert!(!log.contains("credentials file"), "{log}");
    assert!(log.lines().filter(|line| line.contains("accept")).count() <= 1, "{log}");
    drop(held);
    daemon.stop().await;
}

#[tokio::test]
async fn a_store_whose_files_were_deleted_makes_an_idle_daemon_not_ready_until_they_are_back() {
    let folder = tempfile::tempdir().unwrap();
    let config = configure(folder.path(), "http://127.0.0.1:1", 0);
    let mut daemon = Daemon::spawn(run(&config), folder.path());
    answers(&config, "/readyz", "\"ready\":true").await;
    let (store, away) = (folder.path().join("m.db"), folder.path().join("away.db"));
    std::fs::rename(&store, &away).unwrap();
    let not_ready = answers(&config, "/readyz", "\"store\":false").await;
    assert!(not_ready.contains("\"ready\":false") && not_ready.contains("\"store_reason\":\"gone\""), "{not_ready}");
    assert!(daemon.says("was deleted, moved or replaced").await.contains("\"level\":\"ERROR\""));
    std::fs::rename(&away, &store).unwrap();
    let ready = answers(&config, "/readyz", "\"ready\":true").await;
    assert!(ready.contains("\"store\":true"), "{ready}");
    daemon.says("the store can be written again").await;
    assert_eq!(daemon.said("was deleted, moved or replaced"), 1);
    daemon.stop().await;
}

#[tokio::test]
async fn a_store_whose_pages_were_overwritten_makes_the_daemon_not_ready() {
    let house = House::new().await;
    // The header of the log stays, so that its pages are still read from it.
    for (name, kept) in [("meetwatch.db", 0), ("meetwatch.db-wal", 32)] {
        let path = house.path(name);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[kept..].fill(0xa5);
        // In place, as something that writes to the disk beneath would.
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();
    }
    let damaged = async {
        // Reads of the log meet the damage.
        while !house.get("/readyz").await.contains("\"store_reason\":\"corrupt\"") {
            let _ = house.ask(reqwest::Method::GET, "/api/v1/events").await;
        }
    };
    tokio::time::timeout(PATIENCE, damaged).await.unwrap();
}

#[tokio::test]
async fn a_store_that_was_deleted_is_told_as_one_warning_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let config = configure(folder.path(), "http://127.0.0.1:1", 0);
    let said = "the store file is missing but its token file exists";
    for (deleted, warnings) in [(false, 0), (false, 0), (true, 1), (false, 0)] {
        if deleted {
            for suffix in ["", "-wal", "-shm"] {
                let _ = std::fs::remove_file(folder.path().join(format!("m.db{suffix}")));
            }
        }
        let mut daemon = Daemon::spawn(run(&config), folder.path());
        daemon.says("metrics are at").await;
        daemon.stop().await;
        assert_eq!(daemon.said(said), warnings, "{}", daemon.log());
    }
}

#[tokio::test]
async fn a_clock_that_is_two_days_off_is_logged_once_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let google = simulator().await;
    google.with(|api, _| api.faults.add(Rule::new(Fault::Skew(SignedDuration::from_hours(48)))));
    let config = configure(folder.path(), google.url(), 1);
    let text = std::fs::read_to_string(&config).unwrap();
    write_private(&config, &text.replace("conference = \"conferenceRecords/c0\"", "organizer = true"));
    let mut daemon = Daemon::spawn(run(&config), folder.path());
    let line = daemon.says("this machine's clock is more than a day off").await;
    assert!(line.contains("\"seconds\":172") && line.contains("\"level\":\"ERROR\""), "{line}");
    answers(&config, "/metrics", "meetwatch_google_clock_offset_seconds 172").await;
    let mut status = Command::new(env!("CARGO_BIN_EXE_meetwatch"));
    let output = status.args(["status", "--json", "--config"]).arg(&config).output().unwrap();
    let status = String::from_utf8(output.stdout).unwrap();
    assert!(status.contains("\"clock_offset_seconds\": 172"), "{status}");
    daemon.stop().await;
    assert_eq!(daemon.said("clock is more than a day off"), 1);
}
