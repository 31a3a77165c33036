//! A backup is a complete store of one instant, also during writes. A daemon that is given the backup continues from
//! there.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};

use meetwatch::model::EventType;
use meetwatch::sim::Behaviour;
use meetwatch::sim::world::SimPerson;
use meetwatch::store::{BackupError, Db, OpenError, back_up};
use rusqlite::Connection;

use crate::house::{House, LONG};
use crate::kill_daemon::{Daemon, write_private};
use crate::store_samples::*;

fn folder() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (store, copy) = (folder.path().join("meetwatch.db"), folder.path().join("copy.db"));
    (folder, store, copy)
}

/// The files in a folder, without SQLite's companions of a store.
fn files(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| !name.ends_with("-wal") && !name.ends_with("-shm")).collect();
    names.sort();
    names
}

/// Checks that a backup fails with one sentence and leaves no file. Returns the error.
fn refused(folder: &Path, store: &Path, copy: &Path) -> BackupError {
    let before = files(folder);
    let error = back_up(store, copy).unwrap_err();
    assert!(!error.to_string().contains('\n'), "{error}");
    assert_eq!(files(folder), before, "{error}");
    error
}

#[test]
fn a_backup_is_taken_while_the_store_is_held_and_written_and_has_every_commit_whole_or_not_at_all() {
    let (_folder, store, copy) = folder();
    let mut db = Db::open(&store, noon()).unwrap();
    db.write(joins("c", 1..=3, &["ops"]), noon()).unwrap();
    let done = AtomicBool::new(false);
    let (made, written) = std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            let mut last = 3;
            // At least once, so that the backup has less than the store.
            while !done.load(Ordering::Acquire) || last == 3 {
                db.write(joins("c", last + 1..=last + 3, &["ops"]), noon()).unwrap();
                last += 3;
            }
            last
        });
        let made = back_up(&store, &copy);
        done.store(true, Ordering::Release);
        (made.unwrap(), writing.join().unwrap())
    });
    assert!((3..=written).contains(&made.position) && made.position % 3 == 0, "{made:?} of {written}");
    assert_eq!(made.bytes, copy.metadata().unwrap().len());
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    let all = usize::try_from(written).unwrap();
    let held = db.log_after(0, all).unwrap();
    let restored = Db::open(&copy, noon()).unwrap();
    let log = restored.log_after(0, all).unwrap();
    assert_eq!(u64::try_from(log.len()).unwrap(), made.position);
    assert_eq!(log[..], held[..log.len()]);
    assert_eq!(restored.load_unfinished().unwrap().len(), 1);
    let owed = restored.outbox_summary().unwrap().iter().map(|endpoint| endpoint.pending).sum::<u64>();
    assert_eq!(owed, made.position, "pending deliveries stay pending");
}

#[test]
fn a_restored_store_continues_the_positions_of_the_backup() {
    let (_folder, store, copy) = folder();
    let mut db = Db::open(&store, noon()).unwrap();
    db.write(joins("c", 1..=3, &[]), noon()).unwrap();
    back_up(&store, &copy).unwrap();
    let mut restored = Db::open(&copy, noon()).unwrap();
    // Both stores are open at once: the copy shares no file with its source.
    for db in [&mut db, &mut restored] {
        db.write(joins("c", 4..=5, &[]), noon()).unwrap();
        assert!(db.write(joins("c", 1..=1, &[]), noon()).is_err(), "committed twice");
    }
    let positions = |db: &Db| db.log_after(0, 9).unwrap().iter().map(|row| row.position).collect::<Vec<_>>();
    assert_eq!(positions(&restored), positions(&db));
}

#[test]
fn an_existing_file_is_not_overwritten() {
    let (folder, store, copy) = folder();
    let _db = Db::open(&store, noon()).unwrap();
    std::fs::write(&copy, "precious").unwrap();
    assert!(matches!(refused(folder.path(), &store, &copy), BackupError::Exists(_)));
    assert_eq!(std::fs::read_to_string(&copy).unwrap(), "precious");
    assert!(matches!(refused(folder.path(), &store, &store), BackupError::Exists(_)));
}

#[test]
fn a_file_that_is_no_store_is_not_copied() {
    let (folder, store, copy) = folder();
    assert!(matches!(refused(folder.path(), &store, &copy), BackupError::NoStore(_)));
    std::fs::write(&store, "").unwrap();
    assert!(matches!(refused(folder.path(), &store, &copy), BackupError::NoStore(_)));
    std::fs::write(&store, "Dear diary, ".repeat(1000)).unwrap();
    let error = refused(folder.path(), &store, &copy);
    assert!(matches!(error, BackupError::Store(OpenError::NotAStore(_))), "{error:?}");
    let nowhere = folder.path().join("nowhere/copy.db");
    assert!(matches!(refused(folder.path(), &store, &nowhere), BackupError::NoFile(_)));
}

#[test]
fn a_damaged_store_gives_no_backup() {
    let (folder, store, copy) = folder();
    let mut db = Db::open(&store, noon()).unwrap();
    db.write(joins("c", 1..=500, &[]), noon()).unwrap();
    drop(db);
    let mut bytes = std::fs::read(&store).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0xA5);
    std::fs::write(&store, bytes).unwrap();
    let error = refused(folder.path(), &store, &copy);
    assert!(matches!(error, BackupError::Store(OpenError::Corrupt(_)) | BackupError::Damaged(_)), "{error:?}");
}

#[test]
fn a_backup_before_an_upgrade_keeps_the_schema_that_the_older_version_knows() {
    let (_folder, store, copy) = folder();
    drop(Db::open(&store, noon()).unwrap());
    Connection::open(&store).unwrap().pragma_update(None, "user_version", 1).unwrap();
    back_up(&store, &copy).unwrap();
    let copy = Connection::open(&copy).unwrap();
    assert_eq!(copy.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).unwrap(), 1);
}

#[test]
fn deleted_data_is_not_in_a_backup() {
    let (_folder, store, copy) = folder();
    let mut db = Db::open(&store, noon()).unwrap();
    db.write(joins("secretly", 1..=9, &[]), noon()).unwrap();
    db.checkpoint().unwrap();
    drop(db);
    let has_it = |file: &Path| std::fs::read(file).unwrap().windows(8).any(|bytes| bytes == b"secretly");
    assert!(has_it(&store));
    let deleted = "PRAGMA secure_delete = OFF; DELETE FROM events; DELETE FROM conferences;";
    Connection::open(&store).unwrap().execute_batch(deleted).unwrap();
    back_up(&store, &copy).unwrap();
    assert!(!has_it(&copy));
}

#[tokio::test]
async fn a_daemon_given_a_backup_emits_what_came_after_it_and_nothing_twice() {
    let mut house = House::new().await;
    let [ada, bo, cara] = ["Ada", "Bo", "Cara"].map(|name| house.person(SimPerson::anonymous(name)));
    house.join(ada, "laptop");
    house.until_told(EventType::ParticipantJoined, 1).await;
    let told = house.log().await;
    let arrived = house.receiver.wait_until(LONG, |kept, _| {
        told.iter().all(|event| kept.iter().any(|one| one.accepted && one.id == event.id.as_str()))
    });
    assert!(arrived.await);
    house.until_metric("meetwatch_webhook_pending", "", 0.0).await;

    house.receiver.behave(Behaviour::Answer(503, Vec::new()));
    house.join(bo, "laptop");
    house.until_told(EventType::ParticipantJoined, 2).await;
    let (store, copy) = (house.path("meetwatch.db"), house.path("copy.db"));
    let (from, to) = (store.clone(), copy.clone());
    let made = tokio::task::spawn_blocking(move || back_up(&from, &to)).await.unwrap().unwrap();
    house.join(cara, "laptop");
    house.leave(ada, "laptop");
    house.until_told(EventType::ParticipantJoined, 3).await;
    let lost = house.log().await;
    let before = usize::try_from(made.position).unwrap();
    assert!(before > told.len() && before < lost.len());

    house.stop().await;
    std::fs::rename(&copy, &store).unwrap();
    house.receiver.behave(Behaviour::Accept);
    house.start().await;
    house.until_told(EventType::ParticipantJoined, 3).await;
    house.until_told(EventType::ParticipantLeft, 1).await;
    let log = house.log().await;
    assert_eq!(log[..before], lost[..before], "what the backup had");
    let of_cara = |log: &[meetwatch::model::Event]| {
        let is_it = |event: &&meetwatch::model::Event| {
            event.event == EventType::ParticipantJoined
                && event.participant.as_ref().is_some_and(|person| person.display_name.as_deref() == Some("Cara"))
        };
        log.iter().find(is_it).unwrap().id.clone()
    };
    assert_eq!(of_cara(&log), of_cara(&lost), "an event emitted again has the same id");
    for event in &told {
        let sent = house.receiver.deliveries().iter().filter(|one| one.id == event.id.as_str()).count();
        assert_eq!(sent, 1, "an event delivered before the backup is not sent again");
    }
    house.agrees(1).await;
}

async fn backup(config: &Path, to: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meetwatch"));
    // Run by a user outside the service: no credentials are passed.
    command.arg("backup").arg("--config").arg(config).arg(to).env_remove("CREDENTIALS_DIRECTORY");
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test]
async fn the_command_copies_with_and_without_a_daemon_and_the_daemon_starts_again_beside_it() {
    let (folder, store, copy) = folder();
    let config = folder.path().join("m.toml");
    write_private(&folder.path().join("access"), "none");
    write_private(&folder.path().join("token"), "a-token-of-some-length");
    let text = format!(
        "[[identity]]\nname = \"me\"\naccess_token_file = \"credential:access\"\n[google]\nendpoint = \"http://127.0.0.1:1\"\n\
         [store]\npath = \"{}\"\n[server]\nlisten = \"127.0.0.1:0\"\n\
         token_file = \"credential:token\"\n",
        store.display()
    );
    write_private(&config, &text);
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meetwatch"));
        command.arg("run").arg("--config").arg(&config).env("CREDENTIALS_DIRECTORY", folder.path());
        Daemon::spawn(command, folder.path())
    };
    let missing = backup(&config, &copy).await;
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("there is no store at"), "{missing:?}");

    for number in 0..2 {
        let mut daemon = start();
        daemon.says("watching").await;
        let during = backup(&config, &folder.path().join(format!("during-{number}"))).await;
        assert!(during.status.success(), "{during:?}");
        daemon.kill().await;
        // The write-ahead log that a kill left behind is in the copy, too.
        let after = backup(&config, &folder.path().join(format!("after-{number}"))).await;
        assert!(after.status.success(), "{after:?}");
        assert!(String::from_utf8_lossy(&after.stdout).contains("holds the store up to event"), "{after:?}");
    }
    let again = backup(&config, &folder.path().join("after-1")).await;
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("not overwritten"), "{again:?}");
    drop(Db::open(&folder.path().join("after-1"), noon()).unwrap());

    // The command needs a valid path of the store; other errors of the configuration do not matter to it.
    write_private(&config, &format!("{text}[watch]\nbackfil = \"never\"\n"));
    let beside = backup(&config, &folder.path().join("beside")).await;
    assert!(beside.status.success(), "{beside:?}");
    for wrong in [text.replace("[store]", "[stroe]"), text.replace("path =", "paht ="), text.replace("path =", "path")]
    {
        write_private(&config, &wrong);
        let wrong = backup(&config, &folder.path().join("wrong")).await;
        assert_eq!(wrong.status.code(), Some(78), "{wrong:?}");
    }
}
