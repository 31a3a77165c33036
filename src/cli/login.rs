//! `meetwatch login`: obtains a user's consent in the browser, and writes the token store that the daemon refreshes its
//! access tokens from.

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

/// How long the user has to give consent.
const CONSENT_TIMEOUT: Duration = Duration::from_secs(600);

/// Obtain a Google user's consent in the browser, and store the token
///
/// For an identity with `client_secret` and `token_store` in the configuration.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The JSON file of an OAuth client of type `Desktop app`
    #[arg(long, value_name = "FILE")]
    pub client_secret: PathBuf,
    /// The file to store the token in, readable only by its owner; an existing file is replaced
    #[arg(long, value_name = "FILE")]
    pub token_store: PathBuf,
    /// The local port that the browser returns to; 0 means any free port
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = super::values::whole::<u16>)]
    pub port: u16,
    /// Print the address, but do not open a browser
    #[arg(long)]
    pub no_browser: bool,
    /// Also request the scopes of the People API, for `lookup = "people"`
    #[arg(long)]
    pub people: bool,
    /// The HTTP proxy for requests to Google
    #[arg(long, value_name = "URL")]
    pub proxy: Option<Url>,
}

/// Requests consent, waits for it and stores the token.
///
/// # Errors
/// Where a file or the port cannot be used, or where the user or Google refuses.
pub async fn run(args: Args, out: &mut (impl Write + Send)) -> anyhow::Result<ExitCode> {
    let client = files::read(&args.client_secret).and_then(|bytes| files::parse_client(&bytes)).map_err(|failure| {
        let file = args.client_secret.display();
        anyhow!(
            "--client-secret {file}: {}; download the JSON of an OAuth client of type `Desktop app`",
            failure.detail
        )
    })?;
    check_writable(&args.token_store)?;
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, args.port)))
        .await
        .with_context(|| format!("cannot listen on local port {}", args.port))?;
    let port = listener.local_addr().context("cannot tell which port was bound")?.port();
    let scopes: &[Scopes] = if args.people { &Scopes::ALL } else { &[Scopes::Meet] };
    let consent = Arc::new(Consent::new(client, scopes, port, &secrets()?));
    let address = consent.address().map_err(explain)?;
    print_instructions(&address, port, out)?;
    if !args.no_browser && open::that_detached(address.as_str()).is_err() {
        writeln!(out, "Cannot open a browser here. Open the address yourself.")?;
    }
    let code = receive(listener, consent.clone()).await?;
    let token = consent.exchange(args.proxy.as_ref(), &code).await.map_err(explain)?;
    token.save(&args.token_store).context("cannot write the token store")?;
    writeln!(out, "Logged in. The token is in {}.", args.token_store.display())?;
    Ok(ExitCode::SUCCESS)
}

fn print_instructions(address: &Url, port: u16, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "Open this address in a browser and give consent:\n\n  {address}\n")?;
    writeln!(out, "If the browser runs on another machine, first run this command there, and keep it running:\n")?;
    writeln!(out, "  ssh -N -L {port}:127.0.0.1:{port} USER@THIS-MACHINE\n")?;
    out.flush()
}

/// Serves the local page that Google redirects the browser to, and returns the authorization code.
async fn receive(listener: TcpListener, consent: Arc<Consent>) -> anyhow::Result<String> {
    let (answers, mut answered) = mpsc::channel(1);
    let router = Router::new().fallback(answer).with_state((consent, answers));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = axum::serve(listener, router).with_graceful_shutdown(async {
        // Also ends when the sender is dropped.
        let _either = stopped.await;
    });
    let server = tokio::spawn(server.into_future());
    let answer = tokio::time::timeout(CONSENT_TIMEOUT, answered.recv()).await;
    let _gone = stop.send(());
    // Lets the browser receive its page, but does not wait long for a connection that it keeps open.
    let _late = tokio::time::timeout(Duration::from_secs(1), server).await;
    match answer {
        Ok(Some(Ok(code))) => Ok(code),
        Ok(Some(Err(failure))) => Err(explain(failure)),
        Ok(None) => bail!("the browser's answer could not be received"),
        Err(_) => bail!("no consent was given within {} minutes", CONSENT_TIMEOUT.as_secs() / 60),
    }
}

type Answers = mpsc::Sender<Result<String, Failure>>;

/// Answers a request of the browser. A request that is not the redirect from Google changes nothing.
async fn answer(
    State((consent, answers)): State<(Arc<Consent>, Answers)>,
    RawQuery(query): RawQuery,
) -> (StatusCode, Html<&'static str>) {
    let (answer, page) = match consent.code(query.as_deref().unwrap_or_default()) {
        Ok(None) => return (StatusCode::NOT_FOUND, Html("<p>Not found.</p>")),
        Ok(Some(code)) => (Ok(code), "<p>Done. Close this window and return to the terminal.</p>"),
        Err(failure) => (Err(failure), "<p>Consent was not given. The terminal shows why.</p>"),
    };
    // Only the first answer counts. A browser that reloads the page sees the same text.
    let _second = answers.try_send(answer);
    (StatusCode::OK, Html(page))
}

/// Checks that the token store can be written, before the user is asked for consent.
fn check_writable(store: &Path) -> anyhow::Result<()> {
    let folder = store.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::NamedTempFile::new_in(folder)
        .map(drop)
        .with_context(|| format!("cannot write into the token store's folder {}", folder.display()))
}

fn secrets() -> anyhow::Result<[[u8; 32]; 2]> {
    let mut secrets = [[0; 32]; 2];
    for secret in &mut secrets {
        getrandom::fill(secret).map_err(|error| anyhow!("the system provides no random bytes: {error}"))?;
    }
    Ok(secrets)
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to `map_err`")]
fn explain(failure: Failure) -> anyhow::Error {
    match failure.remedy {
        "" => anyhow!("{} ({})", failure.detail, failure.reason),
        remedy => anyhow!("{} ({}); {remedy}", failure.detail, failure.reason),
    }
}
