//! The real program as a child process, with a real configuration; simulator and receivers run in the test's process.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use meetwatch::backoff::Random;
use meetwatch::delivery::sign::SigningSecret;
use meetwatch::sim::world::{PersonKey, SimPerson, SpaceKey};
use meetwatch::sim::{Receiver, ReceiverSettings, Running, Settings, Simulator, Time, World};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::event_verifier::signed_and_valid;

/// A timeout that only a failing test reaches.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The environment of the daemon, which goes on while the daemon does not run.
pub(crate) struct Scene {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) simulator: Arc<Running>,
    pub(crate) receiver: Receiver,
    /// Receives batches of CloudEvents.
    pub(crate) batches: Receiver,
    /// Receives leaves after a settle time of one second.
    pub(crate) settling: Receiver,
    pub(crate) config: PathBuf,
    /// The path of the store.
    pub(crate) store: PathBuf,
}

impl Scene {
    /// Starts a simulator with an empty world and three receivers, and writes a configuration that names them.
    pub(crate) async fn set(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("meetwatch.db");
        let world = World::empty(seed, Time::default().now());
        let simulator = Arc::new(Simulator::start(Settings::new(world)).await.unwrap());
        let secret = SigningSecret::from_bytes(vec![7; 32]).unwrap();
        let [batches, settling] = [receiver(secret.clone()).await, receiver(secret.clone()).await];
        let receiver = receiver(secret.clone()).await;
        let config = folder.path().join("meetwatch.toml");
        let token = folder.path().join("token");
        write_private(&token, "any-token");
        let text = format!(
            r#"[google]
endpoint = "{google}"
people_endpoint = "{google}"
[google.quota]
reads_per_minute_project = 60000
reads_per_minute_user = 60000
[[identity]]
name = "organizer"
access_token_file = "{token}"
[[target]]
name = "all"
organizer = true
poll_interval = "1s"
[[webhook]]
name = "ops"
url = "{receiver}"
secret = "{secret}"
[[webhook]]
name = "batches"
url = "{batches}"
secret = "{secret}"
format = "cloudevents"
max_events = 5
max_wait = "1s"
[[webhook]]
name = "settling"
url = "{settling}"
secret = "{secret}"
settle = "1s"
[watch]
session_sweep = "1s"
backfill = "1s"
discovery = "1s"
final_read = "1s"
[store]
path = "{store}"
[server]
listen = "127.0.0.1:0"
"#,
            google = simulator.url(),
            token = token.display(),
            receiver = receiver.url(),
            batches = batches.url(),
            settling = settling.url(),
            secret = secret.reveal(),
            store = store.display(),
        );
        write_private(&config, &text);
        Self { folder, simulator, receiver, batches, settling, config, store }
    }

    /// Returns `SELECT count(*) FROM {of}` in the store, also while the daemon runs.
    pub(crate) fn count(&self, of: &str) -> i64 {
        let connection = Connection::open_with_flags(&self.store, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        connection.query_row(&format!("SELECT count(*) FROM {of}"), [], |row| row.get(0)).unwrap()
    }

    /// Returns the ids of the events that were settled for an endpoint.
    pub(crate) fn settled(&self, endpoint: &str) -> Vec<String> {
        let connection = Connection::open_with_flags(&self.store, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let mut statement = connection
            .prepare(
                "SELECT e.id FROM deliveries d JOIN events e ON e.position = d.position
                 JOIN endpoints n ON n.id = d.endpoint WHERE d.state = 'settled' AND n.name = ?1",
            )
            .unwrap();
        statement.query_map([endpoint], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// Starts the daemon with additional options.
    pub(crate) fn start(&self, options: &[&str]) -> Daemon {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meetwatch"));
        command.arg("run").arg("--config").arg(&self.config).args(options);
        Daemon::spawn(command, self.folder.path())
    }

    /// Starts the daemon from a shell that first runs `prepare`.
    pub(crate) fn start_after(&self, prepare: &str) -> Daemon {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{prepare}; exec \"$0\" \"$@\"")).arg(env!("CARGO_BIN_EXE_meetwatch"));
        command.arg("run").arg("--config").arg(&self.config);
        Daemon::spawn(command, self.folder.path())
    }
}

pub(crate) fn write_private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

async fn receiver(secret: SigningSecret) -> Receiver {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Receiver::start(ReceiverSettings::new(listen, signed_and_valid(secret))).await.unwrap()
}

/// A running daemon, or another program that logs on standard error. Killed when dropped.
pub(crate) struct Daemon {
    child: Arc<Mutex<Child>>,
    /// The lines it has logged so far.
    lines: watch::Receiver<Vec<String>>,
    status: watch::Receiver<Option<ExitStatus>>,
}

impl Daemon {
    pub(crate) fn spawn(mut command: Command, folder: &Path) -> Self {
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let child = Arc::new(Mutex::new(child));
        let (says, lines) = watch::channel(Vec::new());
        let (ends, status) = watch::channel(None);
        let waiting = Arc::clone(&child);
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                says.send_modify(|lines| lines.push(line));
            }
            // The pipe is closed, so the process has ended or is about to.
            ends.send_replace(waiting.lock().unwrap().wait().ok());
        });
        Self { child, lines, status }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.lock().unwrap().id()
    }

    /// Sends SIGKILL and waits until the process has ended.
    pub(crate) async fn kill(&mut self) {
        self.child.lock().unwrap().kill().unwrap();
        self.ended().await;
    }

    /// Sends SIGTERM and waits until the process has ended with success.
    pub(crate) async fn stop(&mut self) {
        let id = self.id();
        assert!(Command::new("sh").arg("-c").arg(format!("kill -TERM {id}")).status().unwrap().success());
        let status = self.ended().await;
        assert!(status.success(), "{status}: {:#?}", self.lines.borrow());
    }

    /// Sends SIGHUP.
    pub(crate) fn hang_up(&self) {
        let id = self.id();
        assert!(Command::new("sh").arg("-c").arg(format!("kill -HUP {id}")).status().unwrap().success());
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let ended = tokio::time::timeout(PATIENCE, self.status.wait_for(Option::is_some)).await;
        let status = ended.map(|status| status.unwrap().unwrap());
        status.unwrap_or_else(|_| panic!("the process did not end; it logged {:#?}", self.lines.borrow()))
    }

    /// Waits until it aborts (SIGABRT).
    pub(crate) async fn aborted(&mut self) {
        let status = self.ended().await;
        let sigabrt = 6;
        assert_eq!(status.signal(), Some(sigabrt), "{status}: {:#?}", self.lines.borrow());
    }

    /// Waits until it has logged a line that contains `text`, and returns that line.
    pub(crate) async fn says(&mut self, text: &str) -> String {
        let found = |lines: &Vec<String>| lines.iter().find(|line| line.contains(text)).cloned();
        let said = tokio::time::timeout(PATIENCE, self.lines.wait_for(|lines| found(lines).is_some())).await;
        let line = said.ok().and_then(Result::ok).and_then(|lines| found(&lines));
        line.unwrap_or_else(|| panic!("it did not log '{text}', but {:#?}", self.lines.borrow()))
    }

    /// Returns everything it has logged.
    pub(crate) fn log(&self) -> String {
        self.lines.borrow().join("\n")
    }

    /// Returns how many logged lines contain `text`.
    pub(crate) fn said(&self, text: &str) -> usize {
        self.lines.borrow().iter().filter(|line| line.contains(text)).count()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Ok(mut child) = self.child.lock() {
            let _ = child.kill();
        }
    }
}

/// Polls until `is_true`, for conditions without a notification.
pub(crate) async fn becomes_true(what: &str, mut is_true: impl FnMut() -> bool) {
    let waiting = async {
        while !is_true() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(tokio::time::timeout(2 * PATIENCE, waiting).await.is_ok(), "timed out waiting until {what}");
}

/// Lets people join and leave at random moments until `stop` is cancelled.
pub(crate) async fn live(simulator: Arc<Running>, seed: u64, stop: CancellationToken) {
    let mut random = Random::with_seed(seed);
    let (spaces, people) = simulator.with(|api, _| {
        let spaces: Vec<SpaceKey> = (0..3).map(|_| api.world.add_space(None).unwrap()).collect();
        let mut people: Vec<PersonKey> = ["Ada", "Grace", "Edsger", "Barbara", "Alan", "Radia"]
            .iter()
            .map(|name| {
                let address = format!("{}@example.com", name.to_lowercase());
                api.world.add_person(SimPerson::signed_in(name, &address))
            })
            .collect();
        people.push(api.world.add_person(SimPerson::anonymous("Guest")));
        people.push(api.world.add_person(SimPerson::phone("+41 44 *** **42")));
        (spaces, people)
    });
    loop {
        // An impossible action changes nothing.
        let _ = simulator.with(|api, now| {
            let (space, person) = (spaces[random.usize(..spaces.len())], people[random.usize(..people.len())]);
            let device = if random.u8(..4) == 0 { "tablet" } else { "laptop" };
            match random.u8(..100) {
                0..55 => api.world.join(space, person, device, now).map(drop),
                55..85 => api.world.leave(space, person, device, now),
                85..95 => api.world.leave_wholly(space, person, now),
                95..98 => api.world.end(space, now),
                _ => {
                    api.world.rename(person, "Renamed");
                    Ok(())
                }
            }
        });
        let pause = Duration::from_millis(random.u64(20..160));
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}
