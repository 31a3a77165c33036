//! Ten thousand who connect to the real program and dawdle: nobody else is shut out, and nothing is left of them.

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

/// What the program promises to hold at most, and one that just came.
const HELD: usize = 256 + 1;

/// Files that the program opens for a moment besides: of the store, of /proc, to Google and to receivers.
const OTHERS: usize = 24;

/// The memory that those who are held may cost, in KiB. As if each had all of its buffers filled.
const MEMORY_KIB: usize = 64 << 10;

/// Whether this process may open so many files, after asking for it.
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

/// The most memory that the process ever had, in KiB.
fn peak_memory(process: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Asks as somebody who has nothing to do with the others: with a connection of its own.
async fn ask(address: SocketAddr, path: &str) -> String {
    let asking = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{path} is shut out")).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{path}: {answer}");
    answer
}

/// One of the crowd, who keeps its end open whatever becomes of it.
async fn dawdler(address: SocketAddr, number: usize) -> TcpStream {
    let mut stream = timeout(PATIENCE, TcpStream::connect(address)).await.expect("nobody accepts any more").unwrap();
    let sent = match number {
        // Asks for much and takes nothing of it.
        _ if number.is_multiple_of(1000) => "GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(200),
        _ if number.is_multiple_of(3) => String::new(),
        _ if number.is_multiple_of(5) => "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(),
        _ => "GET /livez HTTP/1.1\r\nhost: loc".to_owned(),
    };
    // It may be cut already.
    let _ = stream.write_all(sent.as_bytes()).await;
    stream
}

/// Asks for health and metrics, so often, and returns the most files that the program had open.
async fn others_are_answered(daemon: &Daemon, address: SocketAddr, rounds: usize) -> usize {
    let mut most = 0;
    for _ in 0..rounds {
        ask(address, "/livez").await;
        assert!(ask(address, "/metrics").await.contains("meetwatch_build_info"));
        most = most.max(open_files(daemon.id()));
    }
    most
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_who_dawdle_shut_nobody_out_and_leave_nothing_behind() {
    if !may_open(CROWD as u64 + 2000) {
        // Not through a macro, whose words a test that passes keeps to itself.
        let why = format!("SKIPPED: this process may not open {CROWD} files; raise its hard limit (ulimit -Hn)\n");
        std::io::stderr().write_all(why.as_bytes()).unwrap();
        return;
    }
    let scene = Scene::set(21).await;
    let mut daemon = scene.start(&[]);
    let address: SocketAddr = address_of(&mut daemon).await.parse().unwrap();
    others_are_answered(&daemon, address, 3).await;
    let (files, memory) = (open_files(daemon.id()), peak_memory(daemon.id()));

    let gathering = tokio::spawn(async move {
        let mut crowd = Vec::new();
        for number in 0..CROWD {
            crowd.push(dawdler(address, number).await);
        }
        crowd
    });
    let mut most = 0;
    while !gathering.is_finished() {
        most = most.max(others_are_answered(&daemon, address, 1).await);
    }
    let mut crowd = gathering.await.unwrap();
    assert_eq!(crowd.len(), CROWD);
    for _ in 0..3 {
        for stream in &mut crowd {
            // Most of them were cut.
            let _ = stream.try_write(b"x");
        }
        most = most.max(others_are_answered(&daemon, address, 3).await);
    }
    assert!(most <= files + HELD + OTHERS, "{most} files are open, {files} were before");
    let grown = peak_memory(daemon.id()) - memory;
    assert!(grown < MEMORY_KIB, "it grew by {grown} KiB");
    let text = ask(address, "/metrics").await;
    let counted =
        text.lines().find_map(|line| line.strip_prefix("meetwatch_limit_reached_total{limit=\"http_connections\"} "));
    let counted: usize = counted.unwrap().parse().unwrap();
    assert!(counted >= CROWD - HELD, "{counted} had to make room");

    drop(crowd);
    becomes_true("the files are given back", || open_files(daemon.id()) <= files + OTHERS).await;
    others_are_answered(&daemon, address, 1).await;
    assert_eq!(daemon.said("panic"), 0);
    timeout(Duration::from_secs(60), daemon.stop()).await.unwrap();
}
