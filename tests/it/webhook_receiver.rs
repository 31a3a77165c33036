//! A receiver on a real socket. A test can change its answers and reads what arrived.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use meetwatch::clock::Clock;
use meetwatch::delivery::EndpointSettings;
use meetwatch::delivery::sign::{SigningSecret, TOLERANCE, verify};
use meetwatch::model::EndpointName;
use tokio::sync::mpsc;

use crate::event_verifier::schema_errors;
use crate::store_samples::is_stand_in;

/// The time limit of a wait, long enough for a slow machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// How the receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Status(u16),
    /// Reads the request and never answers.
    Hang,
    /// Answers events of this sequence with this status, all others with 204.
    Refuse(u64, u16),
}

/// A request that arrived, and the status of the answer (0 for none).
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) id: String,
    pub(crate) sequence: u64,
    pub(crate) previous: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) answered: u16,
}

#[derive(Clone)]
struct Shared {
    answer: Arc<Mutex<Answer>>,
    got: mpsc::UnboundedSender<Got>,
}

pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    pub(crate) secret: SigningSecret,
    answer: Arc<Mutex<Answer>>,
    got: mpsc::UnboundedReceiver<Got>,
}

impl Receiver {
    pub(crate) async fn start(answer: Answer) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, got) = mpsc::unbounded_channel();
        let answer = Arc::new(Mutex::new(answer));
        let shared = Shared { answer: Arc::clone(&answer), got: sender };
        let router = Router::new().fallback(receive).with_state(shared);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, secret: SigningSecret::from_bytes(vec![7; 32]).unwrap(), answer, got }
    }

    pub(crate) fn answer(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// Waits for the next request, without checking its signature.
    pub(crate) async fn unsigned(&mut self) -> Got {
        tokio::time::timeout(PATIENCE, self.got.recv()).await.expect("a request in time").unwrap()
    }

    /// Waits for the next request and checks its signature.
    pub(crate) async fn next(&mut self) -> Got {
        let got = self.unsigned().await;
        let header = |name| got.headers.get(name).map_or("", |value| value.to_str().unwrap());
        let secrets = [self.secret.clone()];
        let (timestamp, signature) = (header("webhook-timestamp"), header("webhook-signature"));
        let now = Clock::new().now().wall;
        verify(&secrets, &got.id, timestamp, signature, &got.body, now, TOLERANCE).unwrap();
        got
    }

    /// Waits for the next request, which must be the `sequence`th event of its conference.
    pub(crate) async fn want(&mut self, sequence: u64) -> Got {
        let got = self.next().await;
        assert_eq!(got.sequence, sequence, "{got:?}");
        got
    }

    /// Returns the requests that arrived and were not read yet.
    pub(crate) fn rest(&mut self) -> Vec<Got> {
        std::iter::from_fn(|| self.got.try_recv().ok()).collect()
    }

    /// Returns the settings of an endpoint at this receiver.
    pub(crate) fn endpoint(&self, name: &str) -> EndpointSettings {
        let url = format!("http://{}/hook?token=s3cret", self.address).parse().unwrap();
        EndpointSettings {
            secrets: vec![self.secret.clone()],
            timeout: Duration::from_secs(10),
            ..EndpointSettings::new(EndpointName::parse(name).unwrap(), url)
        }
    }
}

async fn receive(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let payload: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(schema_errors(&payload, is_stand_in), Vec::<String>::new());
    let header = |name| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let sequence = payload["data"]["sequence"].as_u64().unwrap_or(0);
    let answer = *shared.answer.lock().unwrap();
    let answered = match answer {
        Answer::Status(status) => status,
        Answer::Hang => 0,
        Answer::Refuse(refused, status) if sequence == refused => status,
        Answer::Refuse(..) => 204,
    };
    let (id, previous) = (header("webhook-id").unwrap_or_default(), header("meetwatch-previous"));
    let _ = shared.got.send(Got { id, sequence, previous, headers, body, answered });
    if answered == 0 {
        std::future::pending::<()>().await;
    }
    StatusCode::from_u16(answered).unwrap()
}
