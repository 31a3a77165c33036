//! Failures of the files while a daemon uses them: nothing acknowledged is lost, the log names the reason and a remedy,
//! and the daemon recovers by itself when the failure is over.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use meetwatch::sim::api::GoogleMethod;
use meetwatch::store::{Db, OpenError, StoreError, WriteError};
use meetwatch::verify::truth;
use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

use crate::kill::{accepted, come_to_rest};
use crate::kill_daemon::{Daemon, PATIENCE, Scene, becomes_true, live};
use crate::store_samples::*;

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meetwatch.db");
    (folder, path)
}

fn commit_one(db: &mut Db, id: &str) -> Result<(), WriteError> {
    db.write(joins(id, 1..=1, &["ops"]), noon())
}

/// Returns the store's file and SQLite's companions.
pub(crate) fn files(store: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| {
        let mut name = store.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    })
}

#[test]
fn each_file_that_is_moved_or_replaced_is_noticed_and_so_is_its_return() {
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let (folder, path) = folder();
        let mut db = Db::open(&path, noon()).unwrap();
        commit_one(&mut db, "before").unwrap();
        let file = folder.path().join(format!("meetwatch.db{suffix}"));
        let away = folder.path().join("away");

        fs::rename(&file, &away).unwrap();
        assert_eq!(commit_one(&mut db, "meanwhile"), Err(StoreError::Gone.into()), "without {suffix}");
        assert!(!file.exists(), "no other {suffix} was created");
        fs::copy(&away, &file).unwrap();
        assert_eq!(commit_one(&mut db, "meanwhile"), Err(StoreError::Gone.into()), "with a copy of {suffix}");
        fs::rename(&away, &file).unwrap();
        commit_one(&mut db, "meanwhile").unwrap();

        drop(db);
        assert_eq!(Db::open(&path, noon()).unwrap().log_after(0, 10).unwrap().len(), 2);
    }
}

#[test]
fn a_store_that_another_program_locks_is_busy_until_it_is_unlocked() {
    let (_folder, path) = folder();
    let mut db = Db::open(&path, noon()).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(commit_one(&mut db, "c"), Err(StoreError::Busy.into()));
    other.execute_batch("ROLLBACK").unwrap();
    commit_one(&mut db, "c").unwrap();
    assert_eq!(db.log_after(0, 10).unwrap().len(), 1);
}

const PAGE: u64 = 4096;

/// Returns the number of pages of the file.
pub(crate) fn pages(store: &[u8]) -> u64 {
    store.len() as u64 / PAGE
}

/// Overwrites one page of the file with invalid bytes.
pub(crate) fn damage(file: &fs::File, page: u64) {
    file.write_all_at(&[0x5a; PAGE as usize], page * PAGE).unwrap();
}

#[test]
fn a_small_store_with_any_page_damaged_is_refused_at_opening_and_not_changed() {
    let (_folder, path) = folder();
    let mut db = Db::open(&path, noon()).unwrap();
    for number in 0..20 {
        let commit = joins(&format!("c{number}"), 1..=20, &["ops", "audit"]);
        db.write(commit, noon()).unwrap();
    }
    drop(db);
    let sound = fs::read(&path).unwrap();
    let pages = pages(&sound);
    assert!(pages > 50, "{pages} pages prove little");
    for page in 1..pages {
        fs::write(&path, &sound).unwrap();
        damage(&fs::OpenOptions::new().write(true).open(&path).unwrap(), page);
        let before = fs::read(&path).unwrap();
        let error = Db::open(&path, noon()).unwrap_err();
        assert!(matches!(error, OpenError::Corrupt(_)), "page {page}: {error}");
        assert!(error.to_string().contains("restore it from a backup"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before, "page {page}");
    }
    fs::write(&path, &sound).unwrap();
    assert_eq!(Db::open(&path, noon()).unwrap().log_after(0, 1000).unwrap().len(), 400);
}

#[test]
fn damage_found_at_run_time_is_named_and_a_backup_restores_everything() {
    let (_folder, path) = folder();
    let mut db = Db::open(&path, noon()).unwrap();
    // More than a connection's page cache holds.
    for number in 0..40 {
        let commit = joins(&format!("c{number}"), 1..=300, &[]);
        db.write(commit, noon()).unwrap();
    }
    db.checkpoint().unwrap();
    let backup = fs::read(&path).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    for page in 1..pages(&backup) {
        damage(&file, page);
    }

    let errors: Vec<_> = (0..40).filter_map(|number| commit_one(&mut db, &format!("d{number}")).err()).collect();
    let corrupt = errors.iter().filter(|error| **error == StoreError::Corrupt.into()).count();
    assert!(corrupt > 0 && corrupt == errors.len(), "{errors:?}");
    assert!(StoreError::Corrupt.to_string().contains("restore it from a backup"));

    drop(db);
    for file in files(&path) {
        let _ = fs::remove_file(file);
    }
    fs::write(&path, backup).unwrap();
    assert_eq!(Db::open(&path, noon()).unwrap().log_after(0, 100_000).unwrap().len(), 40 * 300);
}

/// A daemon that watches a changing simulated world, and its log.
pub(crate) struct Show {
    pub(crate) scene: Scene,
    stop: CancellationToken,
    world: tokio::task::JoinHandle<()>,
    pub(crate) daemon: Daemon,
}

impl Show {
    pub(crate) async fn begin(seed: u64) -> Self {
        let scene = Scene::set(seed).await;
        // Otherwise a file that grows beyond the limit ends the process with SIGXFSZ.
        let mut daemon = scene.start_after("trap '' XFSZ");
        daemon.says("watching").await;
        becomes_true("the daemon remembers since when it watches", || scene.count("targets") == 1).await;
        let stop = CancellationToken::new();
        let world = tokio::spawn(live(scene.simulator.clone(), seed, stop.clone()));
        assert!(scene.receiver.wait_for(10, PATIENCE).await, "nothing arrives");
        Self { scene, stop, world, daemon }
    }

    /// Checks that the daemon logs the outage once, counts it, and keeps reading.
    pub(crate) async fn is_in_trouble(&mut self, reason: &str, remedy: &str) {
        let line = self.daemon.says(&format!(r#""reason":"{reason}""#)).await;
        assert!(line.contains(r#""level":"ERROR""#) && line.contains(remedy), "{line}");
        let listings = |api: &meetwatch::sim::api::SimApi| api.count(GoogleMethod::ListConferences);
        let before = self.scene.simulator.with(|api, _| listings(api));
        let reads_on = self.scene.simulator.wait_until(PATIENCE, |api| listings(api) > before + 3).await;
        assert!(reads_on, "the daemon stopped reading");
        assert_eq!(self.daemon.said(&format!(r#""reason":"{reason}""#)), 1, "the outage is logged once");
        let metrics = self.metrics().await;
        let counter = format!(r#"meetwatch_store_commit_failures_total{{reason="{reason}"}} "#);
        let counted = metrics.lines().find_map(|line| line.strip_prefix(&counter)).unwrap();
        assert_ne!(counted, "0", "the failures are counted");
    }

    async fn metrics(&mut self) -> String {
        let line: serde_json::Value = serde_json::from_str(&self.daemon.says("watching").await).unwrap();
        let address = line["address"].as_str().unwrap();
        reqwest::get(format!("http://{address}/metrics")).await.unwrap().text().await.unwrap()
    }

    pub(crate) async fn recovers(&mut self, times: usize) {
        let said = || self.daemon.said("the store can be written again");
        becomes_true("the store can be written again", || said() == times).await;
        let before = self.scene.receiver.counts().accepted;
        assert!(self.scene.receiver.wait_for(before + 3, PATIENCE).await, "nothing arrives any more");
    }

    /// Checks that in the end the log agrees with the world, and that the receiver got the whole log.
    pub(crate) async fn ends_well(mut self) {
        self.stop.cancel();
        self.world.await.unwrap();
        self.scene.simulator.with(|api, now| api.world.end_all(now));
        let conferences = self.scene.simulator.with(|api, _| api.world.conferences().count());
        // Conferences that began and ended unobserved are looked for once a minute, and at a start.
        self.daemon.stop().await;
        self.daemon = self.scene.start(&[]);
        come_to_rest(&self.scene, conferences).await;
        self.daemon.stop().await;
        let log = truth::log_of(&Db::open(&self.scene.store, self.scene.simulator.now()).unwrap()).unwrap();
        let compared = self.scene.simulator.with(|api, _| truth::compare(&api.world, &log));
        assert!(compared.sessions > 0 && compared.disagreements.is_empty(), "{:#?}", compared.disagreements);
        assert_eq!(accepted(&self.scene.receiver.deliveries()).len(), log.len());
    }
}

/// Limits the size of every file that the process writes.
fn limit_files(process: u32, bytes: &str) {
    let limited = Command::new("prlimit").arg(format!("--pid={process}")).arg(format!("--fsize={bytes}:")).status();
    assert!(limited.unwrap().success(), "prlimit of util-linux is needed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_whose_files_cannot_grow_keeps_watching_and_catches_up_when_they_can() {
    let mut show = Show::begin(1).await;
    limit_files(show.daemon.id(), "4096");
    show.is_in_trouble("io", "look at the disk").await;
    limit_files(show.daemon.id(), "unlimited");
    show.recovers(1).await;
    show.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_whose_store_another_program_locks_keeps_watching_and_catches_up_when_it_is_unlocked() {
    let mut show = Show::begin(4).await;
    let other = Connection::open(&show.scene.store).unwrap();
    becomes_true("the lock is taken", || other.execute_batch("BEGIN IMMEDIATE").is_ok()).await;
    show.is_in_trouble("busy", "another program").await;
    other.execute_batch("ROLLBACK").unwrap();
    show.recovers(1).await;
    show.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_whose_store_is_moved_away_keeps_watching_and_catches_up_when_it_is_back() {
    let mut show = Show::begin(2).await;
    let away = tempfile::tempdir_in(show.scene.folder.path()).unwrap();
    let elsewhere = files(&away.path().join("meetwatch.db"));
    for (from, to) in files(&show.scene.store).iter().zip(&elsewhere) {
        fs::rename(from, to).unwrap();
    }
    show.is_in_trouble("gone", "put the same file back").await;
    assert!(!show.scene.store.exists(), "no other store was created");
    for (to, from) in files(&show.scene.store).iter().zip(&elsewhere) {
        fs::rename(from, to).unwrap();
    }
    show.recovers(1).await;
    show.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_was_deleted_can_be_saved_from_the_daemon_that_still_has_it_open() {
    let mut show = Show::begin(3).await;
    let acknowledged = show.scene.receiver.counts().accepted;
    for file in files(&show.scene.store) {
        fs::remove_file(file).unwrap();
    }
    show.is_in_trouble("gone", "restart the daemon").await;

    // The steps of docs/OPERATIONS.md.
    let saved = tempfile::tempdir_in(show.scene.folder.path()).unwrap();
    for entry in fs::read_dir(format!("/proc/{}/fd", show.daemon.id())).unwrap().flatten() {
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let target = target.to_string_lossy().into_owned();
        let name = target.strip_suffix(" (deleted)").and_then(|path| Path::new(path).file_name());
        if let Some(name) = name.filter(|name| !name.to_string_lossy().ends_with("-shm")) {
            fs::copy(entry.path(), saved.path().join(name)).unwrap();
        }
    }
    show.daemon.stop().await;
    for entry in fs::read_dir(saved.path()).unwrap().flatten() {
        fs::copy(entry.path(), show.scene.store.parent().unwrap().join(entry.file_name())).unwrap();
    }
    show.daemon = show.scene.start(&[]);
    show.daemon.says("watching").await;
    let log = u64::try_from(show.scene.count("events")).unwrap();
    assert!(log >= acknowledged, "{log} of {acknowledged} events were saved");
    show.ends_well().await;
}
