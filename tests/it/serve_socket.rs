//! The server on a socket in the file system.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;

use meetwatch::serve::{BindError, Listen, ServerSettings};
use reqwest::{Client, StatusCode};
use tokio_util::sync::CancellationToken;

use crate::serve_access::bound;

fn at(path: &Path, mode: u32) -> ServerSettings {
    ServerSettings { listen: Listen::Unix { path: path.to_owned(), mode }, ..ServerSettings::default() }
}

async fn livez(path: &Path) -> Option<StatusCode> {
    let client = Client::builder().unix_socket(path).build().unwrap();
    client.get("http://localhost/livez").send().await.ok().map(|answer| answer.status())
}

#[tokio::test]
async fn it_answers_there_with_the_mode_that_was_asked_for_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("http.sock");
    for mode in [0o600, 0o666] {
        let server = bound(&at(&path, mode)).await.unwrap();
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        assert!(metadata.file_type().is_socket() && metadata.permissions().mode() & 0o777 == mode, "{metadata:?}");
        let cancel = CancellationToken::new();
        let task = tokio::spawn(server.run(cancel.clone()));
        assert_eq!(livez(&path).await, Some(StatusCode::OK));
        cancel.cancel();
        task.await.unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn what_a_killed_daemon_left_behind_is_in_nobodys_way_and_whatever_lives_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("http.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let server = bound(&at(&path, 0o600)).await.unwrap();
    let second = bound(&at(&path, 0o600)).await.unwrap_err();
    assert!(matches!(second, BindError::Taken(_)), "{second}");
    drop(server);
    std::fs::write(&path, "a file of somebody's").unwrap();
    let file = bound(&at(&path, 0o600)).await.unwrap_err();
    assert!(matches!(file, BindError::NoSocket(_)) && path.is_file(), "{file}");
    let nowhere = bound(&at(&folder.path().join("missing/http.sock"), 0o600)).await.unwrap_err();
    assert!(matches!(nowhere, BindError::NoFolder(_)), "{nowhere}");
}

#[tokio::test]
async fn a_socket_that_took_our_place_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("http.sock");
    let server = bound(&at(&path, 0o600)).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let other = std::os::unix::net::UnixListener::bind(&path).unwrap();
    drop(server);
    assert!(path.exists());
    drop(other);
}
