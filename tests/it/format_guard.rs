//! The address guard in a real client: it checks between the look-up and the connection.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use meetwatch::clock::Clock;
use meetwatch::delivery::format::MessageBody;
use meetwatch::delivery::http::answer;
use meetwatch::delivery::http::guard::is_public;
use meetwatch::delivery::http::send::Sender;
use meetwatch::delivery::{EndpointSettings, Outcome, Reply, TransportFailure};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::store_samples::event;
use crate::webhook_receiver::{Answer, Receiver};

/// A resolver with another answer for each look-up; the last one repeats.
struct ChangingResolver {
    answers: Vec<IpAddr>,
    asked: AtomicUsize,
}

impl Resolve for ChangingResolver {
    fn resolve(&self, _: Name) -> Resolving {
        let at = self.asked.fetch_add(1, Ordering::Relaxed).min(self.answers.len() - 1);
        let answer = SocketAddr::new(self.answers[at], 0);
        Box::pin(async move { Ok(Box::new(std::iter::once(answer)) as Addrs) })
    }
}

fn guarded(receiver: &Receiver, url: &str) -> EndpointSettings {
    EndpointSettings { url: url.parse().unwrap(), allow_private: false, ..receiver.endpoint("ops") }
}

async fn send(sender: &Sender) -> Reply {
    let body =
        MessageBody { content_type: "application/json", bytes: br#"{"data":{"schema":1,"sequence":1}}"#.to_vec() };
    sender.send(event("c", 1, &[]).id.as_str(), None, body).await
}

const REFUSED: Outcome = Outcome::TransportFailed(TransportFailure::RefusedAddress);

#[tokio::test]
async fn a_name_that_resolves_to_a_private_address_at_the_second_look_up_is_not_dialled() {
    let mut receiver = Receiver::start(Answer::Status(204)).await;
    let url = format!("http://rebinding.example:{}/", receiver.address.port());
    let answers = vec![Ipv4Addr::LOCALHOST.into(), Ipv4Addr::new(127, 0, 0, 2).into()];
    let resolver = Arc::new(ChangingResolver { answers, asked: AtomicUsize::new(0) });
    // No request may leave this machine, so one loopback address counts as public.
    let permit = |address: IpAddr| address == IpAddr::V4(Ipv4Addr::LOCALHOST);
    let first = Sender::with_resolver(&guarded(&receiver, &url), Clock::new(), resolver.clone(), permit).unwrap();
    assert_eq!(send(&first).await, answer::reply(204, None));
    assert_eq!(receiver.rest().len(), 1);
    // A new sender has no pooled connection, as after an hour without deliveries.
    let second = Sender::with_resolver(&guarded(&receiver, &url), Clock::new(), resolver, permit).unwrap();
    assert_eq!(send(&second).await, REFUSED.into());
    assert!(receiver.rest().is_empty());
}

/// As the resolver of a process that may open no more files.
struct NoFilesLeft;

impl Resolve for NoFilesLeft {
    fn resolve(&self, _: Name) -> Resolving {
        Box::pin(async { Err(std::io::Error::from_raw_os_error(24).into()) })
    }
}

#[tokio::test]
async fn s9_no_open_files_left_is_a_reason_of_its_own() {
    let receiver = Receiver::start(Answer::Status(204)).await;
    let mut settings = receiver.endpoint("ops");
    settings.url = "http://receiver.example/".parse().unwrap();
    let sender = Sender::with_resolver(&settings, Clock::new(), Arc::new(NoFilesLeft), is_public).unwrap();
    let reply = send(&sender).await;
    assert_eq!(reply, Outcome::TransportFailed(TransportFailure::OpenFiles).into());
    assert_eq!(reply.outcome.reason().unwrap().as_str(), "open_files");
    assert!(reply.outcome.is_of_the_endpoint(), "no delivery's own fault");
}

#[tokio::test]
async fn loopback_names_and_addresses_are_refused_unless_private_ones_are_allowed() {
    let mut receiver = Receiver::start(Answer::Status(204)).await;
    let port = receiver.address.port();
    for host in ["localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "2130706433"] {
        let mut settings = guarded(&receiver, &format!("http://{host}:{port}/"));
        assert_eq!(send(&Sender::new(&settings, Clock::new()).unwrap()).await, REFUSED.into(), "{host}");
        settings.allow_private = true;
        settings.url = format!("http://127.0.0.1:{port}/").parse().unwrap();
        assert_eq!(send(&Sender::new(&settings, Clock::new()).unwrap()).await.status, Some(204));
    }
    assert_eq!(receiver.rest().len(), 4);
    assert!(!is_public(Ipv4Addr::LOCALHOST.into()));
}
