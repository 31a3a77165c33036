//! TLS of the server: a certificate that is reloaded when its file changes, client certificates, and handshakes that never
//! finish.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use meetwatch::serve::ServerSettings;
use meetwatch::serve::settings::{BadServerTls, Tls, TlsFiles};
use reqwest::{Certificate, Client, ClientBuilder, Identity, StatusCode};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::house::House;
use crate::serve_access::{Running, on, start};

fn certs() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/certs")
}

fn read(name: &str) -> Vec<u8> {
    std::fs::read(certs().join(name)).unwrap()
}

/// Copies of a certificate and its key, which the test may change.
fn files(folder: &Path, name: &str) -> TlsFiles {
    let files = TlsFiles { certificate: folder.join("c.pem"), key: folder.join("c.key"), client_authority: None };
    std::fs::write(&files.certificate, read(&format!("{name}.pem"))).unwrap();
    std::fs::write(&files.key, read(&format!("{name}.key"))).unwrap();
    files
}

fn trusting() -> ClientBuilder {
    let ca = Certificate::from_pem(&read("ca.pem")).unwrap();
    Client::builder().no_proxy().tls_certs_only([ca])
}

async fn livez(server: &Running, client: ClientBuilder) -> Option<StatusCode> {
    let asked = client.build().unwrap().get(format!("https://{}/livez", server.address)).send().await;
    asked.ok().map(|answer| answer.status())
}

#[tokio::test]
async fn with_a_certificate_only_tls_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(ServerSettings { tls: Some(files(folder.path(), "server")), ..on(Ipv4Addr::LOCALHOST) }).await;
    assert_eq!(livez(&server, trusting()).await, Some(StatusCode::OK));
    assert_eq!(
        livez(&server, Client::builder().no_proxy()).await,
        None,
        "a client that does not know the CA accepted the certificate"
    );
    assert!(reqwest::get(format!("http://{}/livez", server.address)).await.is_err());
}

#[tokio::test]
async fn with_a_client_ca_clients_need_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let tls = TlsFiles { client_authority: Some(certs().join("ca.pem")), ..files(folder.path(), "server") };
    let server = start(ServerSettings { tls: Some(tls), ..on(Ipv4Addr::LOCALHOST) }).await;
    assert_eq!(livez(&server, trusting()).await, None);
    let own = Identity::from_pem(&[read("client.key"), read("client.pem")].concat()).unwrap();
    assert_eq!(livez(&server, trusting().identity(own)).await, Some(StatusCode::OK));
}

/// Whether the certificate of the server has expired.
async fn is_expired(server: &Running) -> bool {
    let answer = livez(server, trusting()).await;
    assert_eq!(livez(server, trusting().tls_danger_accept_invalid_certs(true)).await, Some(StatusCode::OK));
    answer.is_none()
}

#[tokio::test(start_paused = true)]
async fn a_changed_certificate_is_reloaded_unless_it_does_not_match_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(ServerSettings { tls: Some(files(folder.path(), "server")), ..on(Ipv4Addr::LOCALHOST) }).await;
    assert!(!is_expired(&server).await);
    std::fs::write(folder.path().join("c.pem"), read("expired.pem")).unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(!is_expired(&server).await, "a certificate that does not match its key is in use");
    std::fs::write(folder.path().join("c.key"), read("expired.key")).unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(is_expired(&server).await);
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_handshake_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(ServerSettings { tls: Some(files(folder.path(), "server")), ..on(Ipv4Addr::LOCALHOST) }).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let cut = tokio::time::timeout(Duration::from_secs(15), silent.read(&mut [0; 16])).await;
    assert!(matches!(cut, Ok(Ok(0) | Err(_))), "{cut:?}");
}

#[test]
fn each_kind_of_unusable_file_has_an_error_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let good = files(folder.path(), "server");
    let error = |files: &TlsFiles| Tls::load(files).unwrap_err();
    assert_eq!(error(&TlsFiles { certificate: "missing".into(), ..good.clone() }), BadServerTls::Certificate);
    assert_eq!(error(&TlsFiles { key: good.certificate.clone(), ..good.clone() }), BadServerTls::Key);
    assert_eq!(error(&TlsFiles { key: certs().join("client.key"), ..good.clone() }), BadServerTls::Mismatch);
    let authority = Some(good.key.clone());
    assert_eq!(error(&TlsFiles { client_authority: authority, ..good }), BadServerTls::ClientAuthority);
}

#[tokio::test]
async fn a_reload_with_a_certificate_that_does_not_match_its_key_is_refused() {
    let house = House::new().await;
    let (certificate, key) = (certs().join("server.pem"), certs().join("client.key"));
    let tls = format!("\ntls_certificate = \"{}\"\ntls_key = \"{}\"\n", certificate.display(), key.display());
    let config = format!("{}{tls}", house.config());
    let why = house.reload(&config).await.unwrap_err().to_string();
    assert!(why.contains("server.tls_key") && why.contains("do not match") && !why.contains('\n'), "{why}");
    assert!(house.get("/livez").await.contains("alive"));
    house.reload(&config.replace("client.key", "server.key")).await.unwrap();
    let server = house.address();
    assert!(reqwest::get(format!("http://{server}/livez")).await.is_err());
    let asked = trusting().build().unwrap().get(format!("https://{server}/livez")).send().await;
    assert_eq!(asked.unwrap().status(), StatusCode::OK);
}
