//! The daemon under a service manager: its notifications, its watchdog pings, its exit codes, and the unit files.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use meetwatch::backoff::Random;
use meetwatch::clock::Clock;
use meetwatch::delivery::{Dispatcher, DispatcherOptions, WebhookMetrics};
use meetwatch::heartbeat::BEAT_INTERVAL;
use meetwatch::store::{Store, StoreMetrics};
use prometheus::Registry;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a configuration that watches nothing, and the socket of a manager.
pub(crate) struct Scene {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) config: PathBuf,
    manager: UnixDatagram,
}

impl Scene {
    pub(crate) fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("meetwatch.toml");
        let text = "[[identity]]\nname = \"me\"\naccess_token_file = \"token\"\n\
                    [store]\npath = \"STORE\"\n[server]\nlisten = \"127.0.0.1:0\"\n";
        let store = folder.path().join("m.db");
        std::fs::write(&config, text.replace("STORE", store.to_str().unwrap())).unwrap();
        std::fs::write(folder.path().join("token"), "any-token").unwrap();
        let manager = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        manager.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { folder, config, manager }
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meetwatch"));
        command.arg("run").arg("--config").arg(&self.config).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null()).env_remove("WATCHDOG_USEC").env_remove("WATCHDOG_PID");
        command.env("NOTIFY_SOCKET", self.folder.path().join("notify"));
        command
    }

    /// Receives the next notification.
    fn next(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.manager.recv(&mut buffer).expect("no notification arrived in time");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// Receives until `wanted` and returns the notifications before it.
    pub(crate) fn until(&self, wanted: &str) -> Vec<String> {
        let mut before = Vec::new();
        loop {
            match self.next() {
                text if text == wanted => return before,
                text => before.push(text),
            }
        }
    }
}

/// A daemon that does not outlive its test.
pub(crate) struct Daemon(pub(crate) Child);

impl Daemon {
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_manager_is_notified_of_ready_status_watchdog_and_stopping() {
    let scene = Scene::set();
    let mut daemon = Daemon(scene.command().env("WATCHDOG_USEC", "400000").spawn().unwrap());
    let mut received = scene.until("READY=1");
    assert!(!received.iter().any(|text| text.starts_with("STOPPING")), "{received:?}");
    // A ping arrives every tenth of a second, and soon a status line.
    while received.iter().filter(|text| *text == "WATCHDOG=1").count() < 5 {
        received.push(scene.next());
    }
    let status = "STATUS=Watching 0 targets: 0 conferences live, 0 people present. All well.";
    assert!(received.iter().any(|text| text == status), "{received:?}");
    daemon.signal("-TERM");
    scene.until("STOPPING=1");
    assert_eq!(daemon.0.wait().unwrap().code(), Some(0));
}

#[test]
fn a_reload_is_announced_and_ends_with_ready_whether_it_succeeds_or_not() {
    let scene = Scene::set();
    let daemon = Daemon(scene.command().spawn().unwrap());
    scene.until("READY=1");
    let good = std::fs::read_to_string(&scene.config).unwrap();
    for text in [format!("{good}[[target]]\nname = \"t\"\nconference = \"conferenceRecords/c\"\n"), "[wach]".to_owned()]
    {
        std::fs::write(&scene.config, text).unwrap();
        daemon.signal("-HUP");
        let before = scene.until("READY=1");
        let announced = before.iter().filter(|text| text.starts_with("RELOADING=1\nMONOTONIC_USEC=")).count();
        assert_eq!(announced, 1, "{before:?}");
    }
    while !scene.next().starts_with("STATUS=Watching 1 target:") {}
}

#[test]
fn without_a_watchdog_no_pings_are_sent() {
    let scene = Scene::set();
    let _daemon = Daemon(scene.command().spawn().unwrap());
    let mut before = scene.until("READY=1");
    while !before.iter().any(|text| text.starts_with("STATUS=")) {
        before.push(scene.next());
    }
    assert!(!before.iter().any(|text| text == "WATCHDOG=1"), "{before:?}");
}

#[test]
fn the_daemon_starts_even_if_the_manager_cannot_be_reached() {
    let scene = Scene::set();
    let elsewhere = scene.folder.path().join("nobody");
    let mut command = scene.command();
    command.env("NOTIFY_SOCKET", elsewhere).stderr(Stdio::piped());
    let mut daemon = Daemon(command.spawn().unwrap());
    let log = std::io::BufReader::new(daemon.0.stderr.take().unwrap());
    let lines = std::io::BufRead::lines(log).map_while(Result::ok);
    let until_it_watches: Vec<String> = lines.take_while(|line| !line.contains("metrics are at")).collect();
    assert!(until_it_watches.iter().any(|line| line.contains("NOTIFY_SOCKET")), "{until_it_watches:?}");
}

fn refused(scene: &Scene) -> Output {
    scene.command().stderr(Stdio::piped()).output().unwrap()
}

#[test]
fn a_start_that_fails_until_an_operator_acts_exits_with_78_and_one_sentence() {
    let scene = Scene::set();
    std::fs::write(scene.folder.path().join("m.db"), "this is something else, and longer than a header".repeat(9))
        .unwrap();
    let output = refused(&scene);
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(78), "{log}");
    let sentence = log.lines().last().unwrap();
    assert!(sentence.starts_with("meetwatch: ") && sentence.contains("is not a store of meetwatch"), "{log}");
}

#[test]
fn a_start_that_may_succeed_later_exits_with_1() {
    let scene = Scene::set();
    let store = scene.folder.path().join("m.db");
    let metrics = StoreMetrics::register(&Registry::new()).unwrap();
    let _held = Store::open(&store, Clock::new(), metrics).unwrap();
    assert_eq!(refused(&scene).status.code(), Some(1));
}

#[tokio::test]
async fn an_idle_writer_beats_when_it_is_nudged() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::new();
    let metrics = StoreMetrics::register(&Registry::new()).unwrap();
    let store = Store::open(&folder.path().join("m.db"), clock, metrics).unwrap();
    let heartbeat = store.heartbeat();
    for _ in 0..3 {
        let before = clock.mono();
        let beaten = async {
            // A heartbeat has a resolution of one millisecond.
            while heartbeat.last() <= before + Duration::from_millis(1) {
                store.nudge();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, beaten).await.is_ok(), "the heartbeat of the writer is stalled");
    }
    assert_eq!(store.outage(), None);
}

#[tokio::test]
async fn an_idle_dispatcher_beats() {
    let folder = tempfile::tempdir().unwrap();
    let (clock, registry) = (Clock::new(), Registry::new());
    let store = Store::open(&folder.path().join("m.db"), clock, StoreMetrics::register(&registry).unwrap()).unwrap();
    let metrics = WebhookMetrics::register(&registry, &[]).unwrap();
    let (random, stop) = (Random::with_seed(1), CancellationToken::new());
    let dispatcher = Dispatcher::new(&[], store, clock, metrics, random, &DispatcherOptions::default()).unwrap();
    let heartbeat = dispatcher.heartbeat();
    let running = tokio::spawn(dispatcher.run(stop.clone()));
    let mut seen = heartbeat.last();
    for _ in 0..3 {
        let beaten = async {
            while heartbeat.last() == seen {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        // Without the heartbeat it would poll the store only every few seconds.
        assert!(
            tokio::time::timeout(3 * BEAT_INTERVAL, beaten).await.is_ok(),
            "the heartbeat of the dispatcher is stalled"
        );
        seen = heartbeat.last();
    }
    stop.cancel();
    running.await.unwrap();
}

/// Reads a unit file.
fn unit(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// The settings of a unit, without comments.
fn settings_of(unit: &str) -> Vec<&str> {
    unit.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[test]
fn the_template_unit_differs_from_the_service_only_in_names() {
    let template = unit("meetwatch@.service")
        .replace("/etc/meetwatch/%i/", "/etc/meetwatch/")
        .replace(" (%i)", "")
        .replace("StateDirectory=meetwatch-instances/%i", "User=meetwatch\nStateDirectory=meetwatch");
    assert!(!settings_of(&template).iter().any(|line| line.contains("%i")), "{template}");
    assert_eq!(settings_of(&template), settings_of(&unit("meetwatch.service")));
}

#[test]
fn the_unit_has_the_documented_settings() {
    let unit = unit("meetwatch.service");
    for line in [
        // A watchdog; restarts without limit and with growing delay; none after an exit code that a restart cannot help.
        "WatchdogSec=30s",
        "Restart=on-failure",
        "RestartPreventExitStatus=78",
        "RestartMaxDelaySec=5min",
        "StartLimitIntervalSec=0",
        "TimeoutStopSec=60s",
        "LoadCredential=secret:/etc/meetwatch/secrets",
    ] {
        assert!(settings_of(&unit).contains(&line), "{line}");
    }
}

/// Runs `systemd-analyze` on a unit whose `ExecStart` names an existing program. Returns whether it succeeded, and its output.
fn analyze(arguments: &[&str], name: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("meetwatch");
    std::fs::write(&program, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let file = folder.path().join(name);
    std::fs::write(&file, unit(name).replace("/usr/bin/meetwatch", program.to_str().unwrap())).unwrap();
    let output = Command::new("systemd-analyze").args(arguments).arg(&file).output().expect("systemd-analyze runs");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.success(), text)
}

const UNITS: [&str; 2] = ["meetwatch.service", "meetwatch@.service"];

#[test]
#[ignore = "needs systemd-analyze"]
fn systemd_analyze_reports_no_fault_in_the_units() {
    // systemd before 254 does not know the first two. The manual page exists once the package is installed.
    const KNOWN: [&str; 3] = ["'RestartSteps'", "'RestartMaxDelaySec'", "'man meetwatch(1)'"];
    for name in UNITS {
        let (_, text) = analyze(&["verify", "--recursive-errors=no"], name);
        let faults: Vec<&str> = text.lines().filter(|line| !KNOWN.iter().any(|known| line.contains(known))).collect();
        assert!(faults.is_empty(), "{name}: {faults:?}");
    }
    let bad = unit("meetwatch.service").replace("ProtectClock=yes", "ProtectClok=yes");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("meetwatch.service");
    std::fs::write(&file, bad).unwrap();
    let output = Command::new("systemd-analyze").arg("verify").arg(&file).output().unwrap();
    assert!(
        String::from_utf8(output.stderr).unwrap().contains("ProtectClok"),
        "systemd-analyze does not report a misspelt setting"
    );
}

#[test]
#[ignore = "needs systemd-analyze"]
fn the_exposure_level_of_the_units_is_at_most_1_3() {
    for name in UNITS {
        let (success, text) = analyze(&["security", "--offline=true", "--threshold=13", "--no-pager"], name);
        assert!(success, "{name}: {text}");
        assert!(text.contains("Overall exposure level"), "{text}");
    }
    let (success, _) = analyze(&["security", "--offline=true", "--threshold=5", "--no-pager"], UNITS[0]);
    assert!(!success, "systemd-analyze does not apply the threshold");
}
