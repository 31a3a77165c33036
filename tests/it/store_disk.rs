//! A daemon on a disk that is full, read-only or damaged logs the reason, and recovers where that is promised.
//!
//! The small disks are file systems in memory that only their test sees: the test runs itself again in its own
//! namespaces and creates all its files there.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::kill_daemon::becomes_true;
use crate::store_stress::{Show, damage, files, pages};
use rusqlite::Connection;

/// The name of the small disk in the list of mounts.
const DISK: &str = "meetwatch-test-disk";

/// The mount point of the small disk of this process, if it has one.
fn disk() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mut mine = mounts.lines().filter_map(|line| line.strip_prefix(DISK)?.split_whitespace().next());
    mine.next().map(PathBuf::from)
}

/// Returns the small disk in the process that has one. In any other process, runs this test again with one and returns
/// `None`.
fn on_a_small_disk() -> Option<PathBuf> {
    if let Some(disk) = disk() {
        return Some(disk);
    }
    let folder = tempfile::tempdir().unwrap();
    let with_a_disk = |then: &str| {
        let mount = format!("mount -t tmpfs -o size=24m {DISK} \"$0\" && {then}");
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &mount]).arg(folder.path());
        command
    };
    let allowed = with_a_disk("mount -o remount,ro \"$0\"").output();
    if !allowed.is_ok_and(|tried| tried.status.success()) {
        // Not through a macro, whose output the harness captures in a test that passes.
        let why = b"SKIPPED: this process may not mount a small disk (user namespaces, unshare of util-linux)\n";
        std::io::stderr().write_all(why).unwrap();
        return None;
    }
    let name = std::thread::current().name().unwrap().to_owned();
    let mut again = with_a_disk("exec \"$@\"");
    again.arg(std::env::current_exe().unwrap()).args(["--exact", &name, "--nocapture"]).env("TMPDIR", folder.path());
    let output = again.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let passed = output.status.success() && said.contains("1 passed");
    assert!(passed, "on a small disk: {said}\n{}", String::from_utf8_lossy(&output.stderr));
    None
}

fn remount(disk: &Path, how: &str) {
    let status = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(disk).status().unwrap();
    assert!(status.success(), "{how}: {status}");
}

/// Fills the disk to its last byte with a file of this name.
fn fill(disk: &Path) -> PathBuf {
    let ballast = disk.join("ballast");
    let mut file = fs::File::create(&ballast).unwrap();
    while file.write(&[1; 4096]).is_ok_and(|written| written > 0) {}
    ballast
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_whose_disk_is_full_keeps_watching_and_catches_up_when_there_is_room() {
    let Some(disk) = on_a_small_disk() else { return };
    let mut show = Show::begin(5).await;
    assert!(show.scene.store.starts_with(&disk));
    let ballast = fill(&disk);
    show.is_in_trouble("full", "make room").await;
    fs::remove_file(ballast).unwrap();
    show.recovers(1).await;
    show.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_on_a_read_only_disk_logs_it_changes_nothing_and_catches_up_when_it_can_write() {
    let Some(disk) = on_a_small_disk() else { return };
    let mut show = Show::begin(6).await;
    show.daemon.stop().await;
    let before = fs::read(&show.scene.store).unwrap();

    remount(&disk, "ro");
    let mut refused = show.scene.start(&[]);
    let status = refused.ended().await;
    // Not 78: systemd does not restart a service that exits with 78.
    assert_eq!(status.code(), Some(1));
    refused.says("cannot be written; give the daemon's user the right to write it").await;
    assert!(!show.scene.store.with_file_name("meetwatch.db-wal").exists());
    assert_eq!(fs::read(&show.scene.store).unwrap(), before);

    remount(&disk, "rw");
    show.daemon = show.scene.start(&[]);
    show.daemon.says("watching").await;
    show.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_whose_store_is_damaged_logs_it_and_loses_no_emitted_event_with_a_backup() {
    let mut show = Show::begin(7).await;
    let other = Connection::open(&show.scene.store).unwrap();
    let [store, wal, _] = files(&show.scene.store);
    // Everything in the file itself, and the daemon between two of its transactions.
    becomes_true("the write-ahead log is empty", || {
        let _ = other.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        other.execute_batch("BEGIN IMMEDIATE").is_ok()
            && (fs::metadata(&wal).unwrap().len() == 0 || other.execute_batch("ROLLBACK").is_err())
    })
    .await;
    let backup = fs::read(&store).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&store).unwrap();
    // Where the first page tells what the others are.
    (1..pages(&backup)).for_each(|page| damage(&file, page));
    // As another writes, the daemon has to read again what it has in memory.
    other.execute_batch("PRAGMA application_id = 0; COMMIT").unwrap();
    drop(other);
    let acknowledged = show.scene.receiver.counts().accepted;

    show.is_in_trouble("corrupt", "restore it from a backup").await;
    assert_eq!(show.daemon.said("the store can be written again"), 0);
    show.daemon.stop().await;
    for file in files(&store) {
        let _ = fs::remove_file(file);
    }
    fs::write(&store, backup).unwrap();
    show.daemon = show.scene.start(&[]);
    show.daemon.says("watching").await;
    assert!(u64::try_from(show.scene.count("events")).unwrap() >= acknowledged, "every emitted event is in the log");
    show.ends_well().await;
}
