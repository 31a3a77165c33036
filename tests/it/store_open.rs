//! A store that cannot be opened is refused with one sentence and not changed.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use meetwatch::store::{Db, OpenError};
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
