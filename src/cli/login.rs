//! `meetwatch login`: a user's consent in the browser, and a token store that the daemon refreshes from ever after.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Html;
use reqwest::Url;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::meet::Failure;
use crate::meet::auth::Scopes;
use crate::meet::auth::consent::Consent;
use crate::meet::auth::files;

/// How long somebody has to agree.
const PATIENCE: Duration = Duration::from_secs(600);

/// Log in as a Google user, for an identity with `client_secret` and `token_store`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The JSON of an OAuth client of type `Desktop app`.
    #[arg(long, value_name = "FILE")]
    pub client_secret: PathBuf,
    /// Where to keep the token, readable by its owner alone. An older one is replaced.
    #[arg(long, value_name = "FILE")]
    pub token_store: PathBuf,
    /// The port on this machine that the browser comes back to. Any free one by default.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub port: u16,
    /// Only print the address; open no browser.
    #[arg(long)]
    pub no_browser: bool,
    /// Ask for the scopes of the People API too, for `lookup = "people"`.
    #[arg(long)]
    pub people: bool,
    /// An HTTP proxy on the way to Google.
    #[arg(long, value_name = "URL")]
    pub proxy: Option<Url>,
}

/// Asks for consent, waits for it and stores the token.
///
/// # Errors
/// Where a file or the port is of no use, or where the user or Google does not agree.
pub async fn run(args: Args, out: &mut (impl Write + Send)) -> anyhow::Result<ExitCode> {
    let client = files::read(&args.client_secret).and_then(|bytes| files::parse_client(&bytes)).map_err(explain)?;
    try_folder(&args.token_store)?;
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, args.port)))
        .await
        .with_context(|| format!("cannot listen on port {} of this machine", args.port))?;
    let port = listener.local_addr().context("cannot tell which port was bound")?.port();
    let scopes: &[Scopes] = if args.people { &Scopes::ALL } else { &[Scopes::Meet] };
    let consent = Arc::new(Consent::new(client, scopes, port, &secrets()?));
    let address = consent.address().map_err(explain)?;
    invite(&address, port, out)?;
    if !args.no_browser && open::that_detached(address.as_str()).is_err() {
        writeln!(out, "No browser could be opened here; open the address yourself.")?;
    }
    let code = receive(listener, consent.clone()).await?;
    let token = consent.exchange(args.proxy.as_ref(), &code).await.map_err(explain)?;
    token.save(&args.token_store).context("cannot write the token store")?;
    writeln!(out, "Logged in. The token is in {}.", args.token_store.display())?;
    Ok(ExitCode::SUCCESS)
}

/// Says where to go.
fn invite(address: &Url, port: u16, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "Open this address and agree:\n\n  {address}\n")?;
    writeln!(out, "If the browser runs on another machine, run this there first, and leave it open:\n")?;
    writeln!(out, "  ssh -N -L {port}:127.0.0.1:{port} USER@THIS-MACHINE\n")?;
    out.flush()
}

/// Waits for the browser to come back with our code.
async fn receive(listener: TcpListener, consent: Arc<Consent>) -> anyhow::Result<String> {
    let (answers, mut answered) = mpsc::channel(1);
    let router = Router::new().fallback(answer).with_state((consent, answers));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = axum::serve(listener, router).with_graceful_shutdown(async {
        // Either the word to stop, or nobody left to say it.
        let _either = stopped.await;
    });
    let server = tokio::spawn(server.into_future());
    let answer = tokio::time::timeout(PATIENCE, answered.recv()).await;
    let _gone = stop.send(());
    // The browser's page is on its way; a browser that keeps its connection open is not waited for long.
    let _late = tokio::time::timeout(Duration::from_secs(1), server).await;
    match answer {
        Ok(Some(Ok(code))) => Ok(code),
        Ok(Some(Err(failure))) => Err(explain(failure)),
        Ok(None) => bail!("the browser's answer could not be received"),
        Err(_) => bail!("nobody agreed within {} minutes", PATIENCE.as_secs() / 60),
    }
}

type Answers = mpsc::Sender<Result<String, Failure>>;

/// Takes a request from the browser. What is not the answer to our question changes nothing.
async fn answer(
    State((consent, answers)): State<(Arc<Consent>, Answers)>,
    RawQuery(query): RawQuery,
) -> (StatusCode, Html<&'static str>) {
    let (answer, page) = match consent.code(query.as_deref().unwrap_or_default()) {
        Ok(None) => return (StatusCode::NOT_FOUND, Html("<p>Nothing is here.</p>")),
        Ok(Some(code)) => (Ok(code), "<p>Thank you. Close this window and go back to the terminal.</p>"),
        Err(failure) => (Err(failure), "<p>It was not agreed to. The terminal says more.</p>"),
    };
    // Only the first answer counts; a browser that loads the page again is told the same.
    let _second = answers.try_send(answer);
    (StatusCode::OK, Html(page))
}

/// Whether the store can be written, before anybody is asked to agree.
fn try_folder(store: &Path) -> anyhow::Result<()> {
    let folder = store.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::NamedTempFile::new_in(folder)
        .map(drop)
        .with_context(|| format!("cannot write into the token store's folder {}", folder.display()))
}

fn secrets() -> anyhow::Result<[[u8; 32]; 2]> {
    let mut secrets = [[0; 32]; 2];
    for secret in &mut secrets {
        getrandom::fill(secret).map_err(|error| anyhow!("this machine gives no random bytes: {error}"))?;
    }
    Ok(secrets)
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
fn explain(failure: Failure) -> anyhow::Error {
    match failure.remedy {
        "" => anyhow!("{} ({})", failure.detail, failure.reason),
        remedy => anyhow!("{} ({})\n  {remedy}", failure.detail, failure.reason),
    }
}
