//! A daemon with its own configuration that watches nothing and delivers what is pending in its store.

use std::net::SocketAddr;
use std::path::PathBuf;

use meetwatch::app::{App, StartOptions};
use meetwatch::config::{Environment, load};
use meetwatch::store::Commit;
use reqwest::{Client, Method, StatusCode};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::webhook_receiver::Receiver;

pub(crate) struct Daemon {
    folder: tempfile::TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) config: PathBuf,
    pub(crate) token: String,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Returns the `[[webhook]]` table of a receiver.
pub(crate) fn webhook(name: &str, receiver: &Receiver, more: &str) -> String {
    format!(
        "[[webhook]]\nname = \"{name}\"\nurl = \"http://{}/hook?token=s3cret\"\nsecret = \"{}\"\n{more}\n",
        receiver.address,
        receiver.secret.reveal()
    )
}

/// Writes a configuration with these webhooks into a new folder; starts nothing.
pub(crate) fn configured(webhooks: &str) -> (tempfile::TempDir, PathBuf, SocketAddr) {
    let folder = tempfile::tempdir().unwrap();
    // A port that was free a moment ago: the command finds the daemon by its configuration, so the port must be fixed.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    std::fs::write(folder.path().join("access"), "none").unwrap();
    let config = write_config(&folder, address, webhooks);
    (folder, config, address)
}

fn write_config(folder: &tempfile::TempDir, address: SocketAddr, webhooks: &str) -> PathBuf {
    let config = folder.path().join("meetwatch.toml");
    let text = format!(
        "[[identity]]\nname = \"me\"\naccess_token_file = \"access\"\n[google]\nendpoint = \"http://127.0.0.1:1\"\n\
         [store]\npath = \"{}\"\n[server]\nlisten = \"{address}\"\n{webhooks}",
        folder.path().join("m.db").display()
    );
    std::fs::write(&config, text).unwrap();
    config
}

impl Daemon {
    /// Writes `commits` into the store and starts a daemon on it.
    pub(crate) async fn start(webhooks: &str, commits: Vec<Commit>) -> Self {
        let (folder, config, address) = configured(webhooks);
        Self::on(folder, config, address, commits).await
    }

    /// Stops the daemon and starts it with another configuration.
    pub(crate) async fn reconfigured(self, webhooks: &str) -> Self {
        self.stop.cancel();
        self.task.await.unwrap();
        let config = write_config(&self.folder, self.address, webhooks);
        Self::on(self.folder, config, self.address, Vec::new()).await
    }

    async fn on(folder: tempfile::TempDir, config: PathBuf, address: SocketAddr, commits: Vec<Commit>) -> Self {
        let app = App::start(load(&config, &Environment::default()).unwrap(), StartOptions::seeded(7)).await.unwrap();
        for commit in commits {
            app.store().commit(commit, meetwatch::clock::Clock::new().now().wall).await.unwrap();
        }
        let token = std::fs::read_to_string(folder.path().join("m.db.token")).unwrap().trim().to_owned();
        let stop = CancellationToken::new();
        let running = app.run(stop.clone());
        let task = tokio::spawn(async move { running.await.unwrap() });
        Self { folder, address, config, token, stop, task }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, body: &str) -> (StatusCode, Value) {
        let client = Client::builder().no_proxy().build().unwrap();
        let request = client.request(method, format!("http://{}/api/v1/{path}", self.address));
        let response = request.bearer_auth(&self.token).body(body.to_owned()).send().await.unwrap();
        let status = response.status();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask(Method::GET, path, "").await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Value {
        let (status, answer) = self.ask(Method::POST, path, body).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    /// Repeats a request until the answer is as expected.
    pub(crate) async fn get_until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let asking = async {
            loop {
                let answer = self.get(path).await;
                if wanted(&answer) {
                    return answer;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), asking).await.expect("the expected answer in time")
    }
}
