//! The command line reaches the daemon at the address in its configuration: over TLS, and over a Unix socket.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::kill_daemon::{Daemon, write_private};

/// A daemon without targets, with these settings of `[server]`.
struct Scene {
    _folder: tempfile::TempDir,
    config: PathBuf,
    daemon: Daemon,
}

fn configured(server: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    write_private(&folder.path().join("access"), "none");
    let config = folder.path().join("m.toml");
    let text = format!(
        "[[identity]]\nname = \"me\"\naccess_token_file = \"access\"\n[google]\nendpoint = \"http://127.0.0.1:1\"\n\
         [store]\npath = \"m.db\"\n[server]\n{server}\n"
    );
    write_private(&config, &text.replace("m.db", &folder.path().join("m.db").display().to_string()));
    (folder, config)
}

impl Scene {
    async fn start(server: &str) -> Self {
        let (folder, config) = configured(server);
        let mut command = Command::new(env!("CARGO_BIN_EXE_meetwatch"));
        command.arg("run").arg("--config").arg(&config);
        let mut daemon = Daemon::spawn(command, folder.path());
        daemon.says("watching").await;
        Self { _folder: folder, config, daemon }
    }
}

async fn status(config: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meetwatch"));
    command.args(["status", "--json", "--config"]).arg(config);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn tls(more: &str) -> String {
    let certs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/certs");
    let path = |name: &str| certs.join(name).display().to_string();
    // An expired certificate for other names: it only has to be the one in the file.
    format!(
        "listen = \"{}\"\ntls_certificate = \"{}\"\ntls_key = \"{}\"\n{}",
        free_address(),
        path("expired.pem"),
        path("expired.key"),
        more.replace("{ca}", &path("ca.pem"))
    )
}

#[tokio::test]
async fn a_daemon_is_reached_over_tls_and_over_a_unix_socket() {
    for server in [tls(""), "listen = \"unix:http.sock\"".to_owned()] {
        let mut scene = Scene::start(&server).await;
        let output = status(&scene.config).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("\"ready\": true"), "{said}");
        scene.daemon.stop().await;
        let output = status(&scene.config).await;
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("meetwatch: no daemon runs at "), "{output:?}");
    }
}

#[tokio::test]
async fn a_daemon_that_requires_client_certificates_is_reported_as_unreachable_for_the_command_line() {
    let (_folder, config) = configured(&tls("tls_client_authority = \"{ca}\""));
    let output = status(&config).await;
    assert!(String::from_utf8_lossy(&output.stderr).contains("server.tls_client_authority"), "{output:?}");
}

#[tokio::test]
#[ignore = "needs systemd-socket-activate"]
async fn a_socket_that_systemd_passes_is_served() {
    let address = free_address();
    let (folder, config) = configured(&format!("listen = \"{address}\""));
    let mut command = Command::new("systemd-socket-activate");
    command.args(["--listen", &address, env!("CARGO_BIN_EXE_meetwatch"), "run", "--config"]).arg(&config);
    let mut daemon = Daemon::spawn(command, folder.path());
    daemon.says("Listening on").await;
    // The first connection starts the daemon, which then answers it.
    let answer = reqwest::get(format!("http://{address}/livez")).await.unwrap();
    assert_eq!(answer.text().await.unwrap().trim(), r#"{"alive":true}"#);
    assert!(status(&config).await.status.success());
    daemon.stop().await;
}
