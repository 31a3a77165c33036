//! The server on a unix socket.

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
async fn the_socket_has_the_configured_mode_and_is_removed_at_the_stop() {
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
async fn a_leftover_socket_is_replaced_and_one_in_use_or_another_file_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("http.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let server = bound(&at(&path, 0o600)).await.unwrap();
    let second = bound(&at(&path, 0o600)).await.unwrap_err();
    assert!(matches!(second, BindError::Taken(_)), "{second}");
    drop(server);
    std::fs::write(&path, "another file").unwrap();
    let file = bound(&at(&path, 0o600)).await.unwrap_err();
    assert!(matches!(file, BindError::NoSocket(_)) && path.is_file(), "{file}");
    let nowhere = bound(&at(&folder.path().join("missing/http.sock"), 0o600)).await.unwrap_err();
    assert!(matches!(nowhere, BindError::NoFolder(_)), "{nowhere}");
}

#[tokio::test]
async fn a_socket_that_replaced_ours_is_not_removed_at_the_stop() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("http.sock");
    let server = bound(&at(&path, 0o600)).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let other = std::os::unix::net::UnixListener::bind(&path).unwrap();
    drop(server);
    assert!(path.exists());
    drop(other);
}
