//! A store that cannot be opened is refused with one sentence and not changed.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use meetwatch::store::{Db, OpenError, back_up};
use rusqlite::Connection;

use crate::store_samples::*;

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meetwatch.db");
    (folder, path)
}

fn refused(path: &Path) -> (OpenError, String) {
    let error = Db::open(path, noon()).unwrap_err();
    let sentence = error.to_string();
    assert!(!sentence.contains('\n') && sentence.contains(path.parent().unwrap().to_str().unwrap()), "{sentence}");
    (error, sentence)
}

#[test]
fn a_second_opener_is_refused_and_the_first_can_still_write() {
    let (_folder, path) = folder();
    let mut first = Db::open(&path, noon()).unwrap();
    assert!(matches!(refused(&path).0, OpenError::InUse(_)));
    first.write(joins("c", 1..=1, &[]), noon()).unwrap();
    drop(first);
    Db::open(&path, noon()).unwrap();
}

#[test]
fn a_newer_schema_is_refused_with_both_versions() {
    let (_folder, path) = folder();
    drop(Db::open(&path, noon()).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = std::fs::read(&path).unwrap();
    let (error, sentence) = refused(&path);
    assert!(matches!(error, OpenError::Newer { found: 99, known: 4, .. }), "{error:?}");
    assert!(sentence.contains("99") && sentence.contains("up to schema 4"), "{sentence}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_foreign_database_is_refused_and_not_changed() {
    let (_folder, path) = folder();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(refused(&path).0, OpenError::NotAStore(_)));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_file_that_is_no_database_is_refused_and_not_changed() {
    let (_folder, path) = folder();
    std::fs::write(&path, "Dear diary, ".repeat(1000)).unwrap();
    assert!(matches!(refused(&path).0, OpenError::NotAStore(_)));
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("Dear diary"));
}

#[test]
fn a_damaged_store_is_refused() {
    let (_folder, path) = folder();
    drop(Db::open(&path, noon()).unwrap());
    let mut bytes = std::fs::read(&path).unwrap();
    // The first page after its header: the schema itself.
    bytes[100..4096].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(refused(&path).0, OpenError::Corrupt(_)));
}

#[test]
fn a_missing_folder_is_named() {
    let (folder, _) = folder();
    let (error, sentence) = refused(&folder.path().join("missing/meetwatch.db"));
    assert!(matches!(error, OpenError::FolderMissing(_)), "{error:?}");
    assert!(sentence.contains("missing does not exist"), "{sentence}");
}

#[test]
fn a_folder_in_place_of_the_file_is_refused() {
    let (_folder, path) = folder();
    std::fs::create_dir(&path).unwrap();
    refused(&path);
}

#[test]
fn only_the_owner_may_read_the_stores_files() {
    let (folder, path) = folder();
    let mut db = Db::open(&path, noon()).unwrap();
    db.write(joins("c", 1..=1, &[]), noon()).unwrap();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["meetwatch.db", "meetwatch.db-shm", "meetwatch.db-wal", "meetwatch.db.lock"]);
}

/// Every file of a folder with its content.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| file.is_file()).map(|file| (file.clone(), std::fs::read(file).unwrap())).collect()
}

#[test]
fn a_store_with_two_names_is_refused_by_either_and_not_changed() {
    let (folder, path) = folder();
    let mut db = Db::open(&path, noon()).unwrap();
    db.write(joins("c", 1..=1, &[]), noon()).unwrap();
    drop(db);
    let elsewhere = tempfile::tempdir_in(folder.path()).unwrap();
    let other = elsewhere.path().join("copy.db");
    std::fs::hard_link(&path, &other).unwrap();
    let before = contents(elsewhere.path());
    for name in [&path, &other] {
        let (error, sentence) = refused(name);
        assert!(matches!(error, OpenError::HardLinked { names: 2, .. }), "{error:?}");
        assert!(sentence.contains("2 names"), "{sentence}");
    }
    assert_eq!(contents(elsewhere.path()), before, "nothing is made beside it either");
    std::fs::remove_file(&other).unwrap();
    assert_eq!(Db::open(&path, noon()).unwrap().log_after(0, 10).unwrap().len(), 1);
}

#[test]
fn an_open_store_is_in_use_by_whatever_path_it_is_reached() {
    let (folder, path) = folder();
    let mut first = Db::open(&path, noon()).unwrap();
    let link = folder.path().join("link.db");
    symlink("meetwatch.db", &link).unwrap();
    assert!(matches!(refused(&link).0, OpenError::InUse(_)));
    // As under a mount of the file alone: the same file, another folder, no second name.
    let moved = tempfile::tempdir_in(folder.path()).unwrap();
    let renamed = moved.path().join("renamed.db");
    std::fs::rename(&path, &renamed).unwrap();
    assert!(matches!(refused(&renamed).0, OpenError::InUse(_)));
    std::fs::rename(&renamed, &path).unwrap();
    first.write(joins("c", 1..=1, &[]), noon()).unwrap();
}

#[test]
fn a_store_behind_a_symbolic_link_is_opened_with_its_companions_beside_the_file() {
    let (folder, path) = folder();
    let place = tempfile::tempdir_in(folder.path()).unwrap();
    let link = place.path().join("store.db");
    symlink("../meetwatch.db", &link).unwrap();
    // The link may also be there before the file.
    let mut db = Db::open(&link, noon()).unwrap();
    db.write(joins("c", 1..=1, &[]), noon()).unwrap();
    assert!(path.with_file_name("meetwatch.db-wal").exists() && path.with_file_name("meetwatch.db.lock").exists());
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "nothing but the link is in its folder");
    back_up(&link, &folder.path().join("backup.db")).unwrap();
    drop(db);
    assert_eq!(Db::open(&path, noon()).unwrap().log_after(0, 10).unwrap().len(), 1);
}

#[test]
fn a_link_that_leads_in_a_circle_or_into_a_missing_folder_is_refused() {
    let (folder, path) = folder();
    symlink("meetwatch.db", &path).unwrap();
    refused(&path);
    std::fs::remove_file(&path).unwrap();
    symlink(folder.path().join("missing/store.db"), &path).unwrap();
    let sentence = Db::open(&path, noon()).unwrap_err().to_string();
    assert!(sentence.contains("missing does not exist"), "{sentence}");
}

/// A store in two generations: an older one that is whole, and the write-ahead log of a later one.
fn two_generations(path: &Path) {
    let mut db = Db::open(path, noon()).unwrap();
    db.write(joins("c", 1..=40, &[]), noon()).unwrap();
    drop(db);
    let older = std::fs::read(path).unwrap();
    let mut db = Db::open(path, noon()).unwrap();
    for number in 0..40 {
        let id = format!("later{number}");
        db.write(joins(&id, 1..=40, &[]), noon()).unwrap();
    }
    db.checkpoint().unwrap();
    for number in 0..20 {
        let id = format!("last{number}");
        db.write(joins(&id, 1..=40, &[]), noon()).unwrap();
    }
    let log = std::fs::read(path.with_file_name("meetwatch.db-wal")).unwrap();
    drop(db);
    std::fs::write(path, older).unwrap();
    std::fs::write(path.with_file_name("meetwatch.db-wal"), log).unwrap();
}

#[test]
fn a_restored_store_beside_the_log_of_another_generation_is_refused_and_no_byte_is_changed() {
    let (folder, path) = folder();
    two_generations(&path);
    let before = contents(folder.path());
    let (error, sentence) = refused(&path);
    assert!(matches!(error, OpenError::ForeignLog(_)), "{error:?}");
    assert!(sentence.contains("-wal and") && sentence.contains("move"), "{sentence}");
    assert_eq!(contents(folder.path()), before);
    // The sentence's remedy helps.
    std::fs::remove_file(path.with_file_name("meetwatch.db-wal")).unwrap();
    assert_eq!(Db::open(&path, noon()).unwrap().log_after(0, 100).unwrap().len(), 40);
}

#[test]
fn a_foreign_database_with_a_log_is_refused_and_no_byte_is_changed() {
    let (folder, path) = folder();
    let foreign = Connection::open(&path).unwrap();
    foreign.pragma_update(None, "journal_mode", "WAL").unwrap();
    foreign.execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
    let log = path.with_file_name("meetwatch.db-wal");
    let (file, written) = (std::fs::read(&path).unwrap(), std::fs::read(&log).unwrap());
    drop(foreign);
    std::fs::write(&path, file).unwrap();
    std::fs::write(&log, written).unwrap();
    let before = contents(folder.path());
    assert!(matches!(refused(&path).0, OpenError::NotAStore(_)));
    let mut after = contents(folder.path());
    after.remove(&path.with_file_name("meetwatch.db.lock"));
    assert_eq!(after, before);
}

#[test]
fn a_store_that_is_being_read_can_be_opened() {
    let (_folder, path) = folder();
    drop(Db::open(&path, noon()).unwrap());
    let reader = Connection::open(&path).unwrap();
    let snapshot = reader.unchecked_transaction().unwrap();
    let events: i64 = snapshot.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap();
    Db::open(&path, noon()).unwrap();
    assert_eq!(events, 0);
}

#[test]
fn a_truncated_store_is_refused_as_damaged_wherever_it_is_cut() {
    let (_folder, path) = folder();
    let mut db = Db::open(&path, noon()).unwrap();
    for number in 0..20 {
        db.write(joins(&format!("c{number}"), 1..=40, &[]), noon()).unwrap();
    }
    drop(db);
    let whole = std::fs::read(&path).unwrap();
    for kept in
        [whole.len() / 10, whole.len() / 2, whole.len() - 4096, whole.len() - 100, 5000, 4096, 2000, 512, 100, 60]
    {
        std::fs::write(&path, &whole[..kept]).unwrap();
        let error = Db::open(&path, noon()).unwrap_err();
        assert!(matches!(error, OpenError::Corrupt(_) | OpenError::NotAStore(_)), "{kept}: {error:?}");
        assert_eq!(std::fs::read(&path).unwrap(), &whole[..kept], "{kept}");
    }
}
