//! The daemon whose log nobody reads, and whose threads hang: it goes on, and a second signal always ends it.

use std::io::{PipeReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use crate::systemd::{Daemon, Scene};

/// What a pipe holds before a write to it blocks.
const PIPE: usize = 64 << 10;

/// A pipe that is full, as the standard error of a process.
fn full_pipe() -> (PipeReader, Stdio) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&vec![b'.'; PIPE]).unwrap();
    (reader, writer.into())
}

fn spawn(scene: &Scene, options: &[&str], stderr: Stdio) -> Daemon {
    Daemon(scene.command().args(options).stderr(stderr).spawn().unwrap())
}

/// Writes the port of a daemon that listens where it wants into the configuration of one that listens there.
fn listening(scene: &Scene) -> String {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let text = std::fs::read_to_string(&scene.config).unwrap();
    std::fs::write(&scene.config, text.replace("127.0.0.1:0", &address)).unwrap();
    address
}

/// Returns the response to a request for `path`.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

/// Waits until the process has handled a first signal, which it shows by ignoring no second one: sends SIGTERM until it
/// ends. Returns its exit code.
fn terminate_until_it_ends(daemon: &mut Daemon) -> Option<i32> {
    let ended = |child: &mut Child| child.try_wait().unwrap();
    loop {
        if let Some(status) = ended(&mut daemon.0) {
            return status.code();
        }
        daemon.signal("-TERM");
        std::thread::yield_now();
    }
}

#[test]
fn a_daemon_whose_log_nobody_reads_starts_works_and_stops_in_order() {
    let scene = Scene::set();
    let address = listening(&scene);
    let (_unread, stderr) = full_pipe();
    let mut daemon = spawn(&scene, &["--log", "trace"], stderr);
    scene.until("READY=1");
    assert!(get(&address, "/livez").contains("200 OK"));
    assert!(get(&address, "/metrics").contains("meetwatch_log_lines_dropped_total 0"));
    daemon.signal("-HUP");
    scene.until("READY=1");
    daemon.signal("-TERM");
    scene.until("STOPPING=1");
    assert_eq!(daemon.0.wait().unwrap().code(), Some(0));
}

#[test]
fn the_lines_of_a_log_that_was_not_read_for_a_while_are_there_when_it_is_read() {
    let scene = Scene::set();
    let (mut late, stderr) = full_pipe();
    let mut daemon = spawn(&scene, &[], stderr);
    scene.until("READY=1");
    let reading = std::thread::spawn(move || {
        let mut log = Vec::new();
        late.read_to_end(&mut log).map(|_| String::from_utf8(log[PIPE..].to_vec()).unwrap())
    });
    daemon.signal("-TERM");
    assert_eq!(daemon.0.wait().unwrap().code(), Some(0));
    let log = reading.join().unwrap().unwrap();
    assert!(log.contains("metrics are at /metrics") && log.contains("\"stopped\""), "{log}");
}

#[test]
fn a_second_signal_ends_a_daemon_whose_threads_all_hang_and_whose_log_nobody_reads() {
    let scene = Scene::set();
    let (_unread, stderr) = full_pipe();
    let mut daemon = spawn(&scene, &["--hang-at", "1", "--hang-wholly"], stderr);
    // The process has its handlers once it has made its store.
    while !scene.folder.path().join("m.db.lock").exists() {
        std::thread::yield_now();
    }
    assert_eq!(terminate_until_it_ends(&mut daemon), Some(1));
}

#[test]
fn livez_readyz_and_health_say_which_loop_hangs_without_a_service_manager() {
    let scene = Scene::set();
    let address = listening(&scene);
    let mut command = scene.command();
    let (mut log, stderr) = std::io::pipe().unwrap();
    let daemon = Daemon(command.env_remove("NOTIFY_SOCKET").args(["--hang-at", "1"]).stderr(stderr).spawn().unwrap());
    // Ends when the watchdog has noticed.
    let mut said = String::new();
    while !said.contains("a task stopped making progress") {
        let mut some = [0; 4096];
        let length = log.read(&mut some).unwrap();
        assert!(length > 0, "the daemon ended: {said}");
        said.push_str(std::str::from_utf8(&some[..length]).unwrap());
    }
    assert!(said.contains("polling") && said.contains("/livez answers 503"), "{said}");
    let live = get(&address, "/livez");
    assert!(live.contains("503") && live.contains(r#"{"alive":false,"stalled":["polling"]}"#), "{live}");
    assert!(get(&address, "/readyz").contains(r#""stalled":["polling"]"#));
    let mut health = std::process::Command::new(env!("CARGO_BIN_EXE_meetwatch"));
    let asked = health.args(["health", "--config"]).arg(&scene.config).output().unwrap();
    let why_not = String::from_utf8(asked.stderr).unwrap();
    assert_eq!(asked.status.code(), Some(1), "{why_not}");
    assert!(why_not.contains("is not ready: it stopped making progress (polling)"), "{why_not}");
    drop(daemon);
}
