//! Ten thousand slow clients of the real program: other clients are still served, and no resources are leaked.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::deploy_prometheus::address_of;
use crate::kill_daemon::{Daemon, PATIENCE, Scene, becomes_true};

const CROWD: usize = 10_000;

/// The bound on connections, plus one that was just accepted.
const MAX_HELD: usize = 256 + 1;

/// Other files that the program opens for a moment: of the store, under /proc, connections to Google and to receivers.
const OTHER_FILES: usize = 24;

/// The memory that the held connections may use, in KiB: as if the buffers of each were full.
const MEMORY_KIB: usize = 64 << 10;

/// Raises the limit of open files if needed. Returns whether this process may open that many.
fn may_open(files: u64) -> bool {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(files, |maximum| maximum.min(files));
    if limit.current.is_some_and(|current| current < wanted) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum }).unwrap();
    }
    wanted >= files
}

fn open_files(process: u32) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count()
}

/// The peak resident memory of a process, in KiB.
fn peak_memory(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Sends a request on a connection of its own.
async fn get(address: SocketAddr, path: &str) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = timeout(PATIENCE, exchange).await.unwrap_or_else(|_| panic!("{path} is not answered")).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{path}: {answer}");
    answer
}

/// One of the slow clients. Keeps its end of the connection open.
async fn slow_client(address: SocketAddr, number: usize) -> TcpStream {
    let mut stream =
        timeout(PATIENCE, TcpStream::connect(address)).await.expect("connections are no longer accepted").unwrap();
    let sent = match number {
        // Requests a lot and reads nothing.
        _ if number.is_multiple_of(1000) => "GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(200),
        _ if number.is_multiple_of(3) => String::new(),
        _ if number.is_multiple_of(5) => "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(),
        _ => "GET /livez HTTP/1.1\r\nhost: loc".to_owned(),
    };
    // It may have been evicted already.
    let _ = stream.write_all(sent.as_bytes()).await;
    stream
}

/// Requests health and metrics, `rounds` times. Returns the largest number of files that the program had open.
async fn other_clients_are_served(daemon: &Daemon, address: SocketAddr, rounds: usize) -> usize {
    let mut most = 0;
    for _ in 0..rounds {
        get(address, "/livez").await;
        assert!(get(address, "/metrics").await.contains("meetwatch_build_info"));
        most = most.max(open_files(daemon.id()));
    }
    most
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_slow_clients_lock_nobody_out_and_leak_nothing() {
    if !may_open(CROWD as u64 + 2000) {
        // Not with `eprintln!`: its output is captured when the test passes.
        let why = format!("SKIPPED: this process may not open {CROWD} files; raise its hard limit (ulimit -Hn)\n");
        std::io::stderr().write_all(why.as_bytes()).unwrap();
        return;
    }
    let scene = Scene::set(21).await;
    let mut daemon = scene.start(&[]);
    let address: SocketAddr = address_of(&mut daemon).await.parse().unwrap();
    other_clients_are_served(&daemon, address, 3).await;
    let (files, memory) = (open_files(daemon.id()), peak_memory(daemon.id()));

    let gathering = tokio::spawn(async move {
        let mut crowd = Vec::new();
        for number in 0..CROWD {
            crowd.push(slow_client(address, number).await);
        }
        crowd
    });
    let mut most = 0;
    while !gathering.is_finished() {
        most = most.max(other_clients_are_served(&daemon, address, 1).await);
    }
    let mut crowd = gathering.await.unwrap();
    assert_eq!(crowd.len(), CROWD);
    for _ in 0..3 {
        for stream in &mut crowd {
            // Most of them were evicted.
            let _ = stream.try_write(b"x");
        }
        most = most.max(other_clients_are_served(&daemon, address, 3).await);
    }
    assert!(
        most <= files + MAX_HELD + OTHER_FILES,
        "{most} files were open at the peak, {files} before the clients came"
    );
    let grown = peak_memory(daemon.id()) - memory;
    assert!(grown < MEMORY_KIB, "memory grew by {grown} KiB");
    let text = get(address, "/metrics").await;
    let counted =
        text.lines().find_map(|line| line.strip_prefix("meetwatch_limit_reached_total{limit=\"http_connections\"} "));
    let counted: usize = counted.unwrap().parse().unwrap();
    assert!(counted >= CROWD - MAX_HELD, "only {counted} connections found no free slot");

    drop(crowd);
    becomes_true("the connections are closed", || open_files(daemon.id()) <= files + OTHER_FILES).await;
    other_clients_are_served(&daemon, address, 1).await;
    assert_eq!(daemon.said("panic"), 0);
    timeout(Duration::from_secs(60), daemon.stop()).await.unwrap();
}
