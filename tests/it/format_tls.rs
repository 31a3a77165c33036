//! TLS to a receiver: the check of its certificate, and the client certificate.

use std::sync::Arc;

use meetwatch::clock::Clock;
use meetwatch::delivery::format::MessageBody;
use meetwatch::delivery::http::send::Sender;
use meetwatch::delivery::http::tls::{BadTls, TlsSettings};
use meetwatch::delivery::{EndpointSettings, Outcome, TransportFailure};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::store_samples::{endpoint, event};

fn file(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/it/certs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Starts a receiver with this certificate that may ask for a client certificate. It answers every request with 204.
async fn receiver(certificate: &str, asks: bool) -> EndpointSettings {
    let chain = vec![CertificateDer::from_pem_slice(file(&format!("{certificate}.pem")).as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(file(&format!("{certificate}.key")).as_bytes()).unwrap();
    let provider = Arc::new(default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let builder = if asks {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(file("ca.pem").as_bytes()).unwrap()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
                let _ = stream.shutdown().await;
            });
        }
    });
    EndpointSettings::new(endpoint("ops"), format!("https://{address}/").parse().unwrap())
}

async fn outcome(settings: &EndpointSettings) -> Outcome {
    let body = MessageBody { content_type: "application/json", bytes: b"{}".to_vec() };
    Sender::new(settings, Clock::new()).unwrap().send(event("c", 1, &[]).id.as_str(), None, body).await.outcome
}

fn ours() -> TlsSettings {
    TlsSettings::default().with_authorities(&file("ca.pem")).unwrap()
}

const GOOD: Outcome = Outcome::Accepted;
const DISTRUSTED: Outcome = Outcome::TransportFailed(TransportFailure::Tls);

#[tokio::test]
async fn a_private_authority_is_trusted_only_where_it_is_configured() {
    let settings = receiver("server", false).await;
    assert_eq!(outcome(&settings).await, DISTRUSTED);
    assert_eq!(outcome(&EndpointSettings { tls: ours(), ..settings }).await, GOOD);
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let settings = EndpointSettings { tls: ours(), ..receiver("expired", false).await };
    assert_eq!(outcome(&settings).await, DISTRUSTED);
}

#[tokio::test]
async fn a_receiver_that_asks_for_a_client_certificate_gets_it() {
    let settings = EndpointSettings { tls: ours(), ..receiver("server", true).await };
    assert_ne!(outcome(&settings).await, GOOD);
    let tls = ours().with_client_certificate(&file("client.pem"), &file("client.key")).unwrap();
    assert_eq!(outcome(&EndpointSettings { tls, ..settings }).await, GOOD);
}

#[test]
fn each_kind_of_unusable_certificate_has_its_own_error() {
    let with = |chain: &str, key: &str| TlsSettings::default().with_client_certificate(chain, key).unwrap_err();
    assert_eq!(with("nothing", &file("client.key")), BadTls::NoCertificate);
    assert_eq!(with(&file("client.pem"), "nothing"), BadTls::NoKey);
    assert_eq!(with(&file("client.pem"), &file("server.key")), BadTls::Mismatch);
    assert_eq!(TlsSettings::default().with_authorities("nothing").unwrap_err(), BadTls::NoCertificate);
    let shown = format!("{:?}", ours());
    assert_eq!(shown, "TlsSettings { client_certificate: false, authorities: 1 }");
}
