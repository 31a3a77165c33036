//! `meetwatch login`: from the printed address through the browser's redirect to a token file that only its owner can read.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use clap::Parser;
use meetwatch::cli::login;
use meetwatch::meet::auth::token_store::StoredToken;
use reqwest::Url;

use crate::meet_fake::{Fake, json, written};

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: login::Args,
}

/// What the command printed so far.
#[derive(Clone, Default)]
struct Terminal(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Terminal {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Terminal {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The address that it printed, once it has.
    async fn address(&self) -> Url {
        loop {
            if let Some(line) = self.text().lines().find(|line| line.trim().starts_with("https://")) {
                return Url::parse(line.trim()).unwrap();
            }
            tokio::task::yield_now().await;
        }
    }
}

fn args(fake: &Fake, folder: &Path, more: &[&str]) -> login::Args {
    let client = format!(
        r#"{{"installed":{{"client_id":"id","client_secret":"hush","auth_uri":"https://accounts.example/auth","token_uri":"{}"}}}}"#,
        fake.url("/token")
    );
    let client = written(folder, "client.json", &client);
    let store = folder.join("token.json");
    let line = [
        "login",
        "--no-browser",
        "--client-secret",
        client.to_str().unwrap(),
        "--token-store",
        store.to_str().unwrap(),
    ];
    Line::try_parse_from(line.iter().chain(more)).unwrap().args
}

fn value(url: &Url, name: &str) -> String {
    url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned()
}

async fn visit(redirect: &str, query: &[(&str, &str)]) -> u16 {
    let url = Url::parse_with_params(redirect, query).unwrap();
    reqwest::get(url).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn consent_in_the_browser_writes_a_token_that_only_its_owner_can_read() {
    let (fake, folder, terminal) = (Fake::start().await, tempfile::tempdir().unwrap(), Terminal::default());
    fake.will_grant([json(200, r#"{"access_token":"T","expires_in":3599,"refresh_token":"R-hush"}"#)]);
    let args = args(&fake, folder.path(), &["--people"]);
    let command = tokio::spawn({
        let mut out = terminal.clone();
        async move { login::run(args, &mut out).await }
    });
    let address = terminal.address().await;
    let (redirect, state) = (value(&address, "redirect_uri"), value(&address, "state"));
    let port = Url::parse(&redirect).unwrap().port().unwrap();
    assert!(terminal.text().contains(&format!("ssh -N -L {port}:127.0.0.1:{port} ")));
    assert_eq!(visit(&redirect, &[("code", "evil"), ("state", "guessed")]).await, 404);
    assert_eq!(visit(&redirect, &[("code", "C-1"), ("state", &state)]).await, 200);
    command.await.unwrap().unwrap();

    let path = folder.path().join("token.json");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let stored = StoredToken::load(&path).unwrap();
    assert_eq!((stored.refresh_token.as_str(), stored.scopes.len()), ("R-hush", 4));
    let asked = &fake.tokens_asked()[0].body;
    assert!(asked.contains("code=C-1") && asked.contains("code_verifier="), "{asked}");
    assert!(!terminal.text().contains("hush"), "{}", terminal.text());
}

#[tokio::test]
async fn a_refused_consent_ends_the_login_and_keeps_the_old_token() {
    let (fake, folder, terminal) = (Fake::start().await, tempfile::tempdir().unwrap(), Terminal::default());
    let path = folder.path().join("token.json");
    let old = StoredToken { refresh_token: "old".to_owned(), scopes: vec![] };
    old.save(&path).unwrap();
    let args = args(&fake, folder.path(), &[]);
    let command = tokio::spawn({
        let mut out = terminal.clone();
        async move { login::run(args, &mut out).await }
    });
    let address = terminal.address().await;
    assert_eq!(value(&address, "scope"), "https://www.googleapis.com/auth/meetings.space.readonly");
    let state = value(&address, "state");
    visit(&value(&address, "redirect_uri"), &[("error", "access_denied"), ("state", &state)]).await;
    let error = command.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("access_denied"), "{error}");
    assert_eq!(StoredToken::load(&path).unwrap(), old);
}

#[tokio::test]
async fn what_cannot_work_is_reported_before_the_consent() {
    let (fake, folder, mut terminal) = (Fake::start().await, tempfile::tempdir().unwrap(), Terminal::default());
    let mut no_folder = args(&fake, folder.path(), &[]);
    no_folder.token_store = folder.path().join("missing").join("token.json");
    assert!(login::run(no_folder, &mut terminal).await.unwrap_err().to_string().contains("token store's folder"));
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let args = args(&fake, folder.path(), &["--port", &port]);
    assert!(login::run(args, &mut terminal).await.unwrap_err().to_string().contains(&port));
    assert_eq!(terminal.text(), "");
}
