//! Application default credentials: from the file that `config` found, or else from the machine's metadata server.
//!
//! yup-oauth2 would read the environment to choose between the two; here only `config` reads it.

use std::path::Path;

use reqwest::{Client, Url};

use super::files::{self, DefaultFile};
use super::scopes::Scopes;
use super::token_endpoint::{IssuedToken, TokenResponse};
use super::{refresh, service_account};
use crate::clock::Clock;
use crate::meet::error::Reason;
use crate::meet::failure::Failure;
use crate::meet::http_clients::HttpClients;
use crate::meet::transport;

/// The metadata server of a machine on Google Cloud.
pub(super) const METADATA: &str =
    "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token";

/// The cap on a response of the metadata server.
const MAX_BYTES: usize = 64 << 10;

const NO_DEFAULT: &str = "run `gcloud auth application-default login`, set GOOGLE_APPLICATION_CREDENTIALS to a file, or \
     run on Google Cloud with a service account attached";

/// Obtains a token from a file: a service account's key or a user's own credentials.
pub(super) async fn from_file(
    http: &HttpClients,
    file: &Path,
    scopes: Scopes,
    clock: &Clock,
) -> Result<IssuedToken, Failure> {
    match files::parse_default(&files::read(file)?)? {
        DefaultFile::Key(key) => service_account::token(*key, None, scopes, http.proxy.as_ref(), clock).await,
        DefaultFile::User(user) => refresh::from_default(&http.through_proxy, &user, scopes).await,
    }
}

/// Obtains a token from the metadata server at `address`, which is on the machine's own network and never behind a proxy.
pub(super) async fn from_machine(direct: &Client, address: &str, scopes: Scopes) -> Result<IssuedToken, Failure> {
    let unavailable = |detail: &'static str| Failure::new(Reason::Credentials, detail, NO_DEFAULT);
    let wanted = scopes.as_slice().join(",");
    let url = Url::parse_with_params(address, [("scopes", wanted)])
        .map_err(|_| unavailable("the address of the metadata server is invalid"))?;
    let request = direct.get(url).header("Metadata-Flavor", "Google");
    let response = request
        .send()
        .await
        .map_err(|_| unavailable("no application default credentials: there is no file and no metadata server"))?;
    let status = response.status();
    let bytes = transport::read_body(response, MAX_BYTES).await?;
    match status.as_u16() {
        200 => serde_json::from_slice::<TokenResponse>(&bytes)
            .map(TokenResponse::token)
            .map_err(|_| Failure::malformed("the response of the metadata server contains no token")),
        404 => Err(unavailable("this machine has no service account attached")),
        429 | 500..=599 => Err(Failure::new(Reason::Server, "the metadata server had an internal error", "")),
        _ => Err(unavailable("the metadata server refuses to issue a token")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// Requests a token from a metadata server that sends this response. Returns the token's text and the request.
    async fn requested(status: u16, body: &str) -> (Result<String, Failure>, String) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/token", listener.local_addr().unwrap());
        let answer =
            format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        let server = tokio::spawn(async move {
            let mut stream = listener.accept().await.unwrap().0;
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut request).await.unwrap();
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(request).unwrap()
        });
        let direct = Client::builder().no_proxy().build().unwrap();
        let token = from_machine(&direct, &address, Scopes::Meet).await;
        (token.map(|token| token.text), server.await.unwrap().to_ascii_lowercase())
    }

    #[tokio::test]
    async fn the_metadata_server_issues_a_token_for_the_requested_scopes() {
        let (token, request) = requested(200, r#"{"access_token":"T","expires_in":300,"token_type":"Bearer"}"#).await;
        assert_eq!(token, Ok("T".to_owned()));
        assert!(request.contains("metadata-flavor: google"), "{request}");
        assert!(request.contains("meetings.space.readonly"), "{request}");
    }

    #[tokio::test]
    async fn a_machine_without_a_service_account_has_no_credentials() {
        for (status, body, reason) in [
            (404, "no account", Reason::Credentials),
            (403, "{}", Reason::Credentials),
            (503, "", Reason::Server),
            (200, "<html>", Reason::Malformed),
        ] {
            assert_eq!(requested(status, body).await.0.unwrap_err().reason, reason, "{status}");
        }
        let nobody = from_machine(&Client::new(), "http://127.0.0.1:1/token", Scopes::Meet).await;
        assert_eq!(nobody.err().map(|failure| failure.remedy), Some(NO_DEFAULT));
    }
}
