//! The faults that a receiver simulates: a status, a delay, a rate, or what another receiver answers.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use reqwest::{Client, Url};

use crate::capped_body;
use crate::cli::values::whole_in;
use crate::clock::Mono;
use crate::token_bucket::TokenBucket;

/// How long the receiver that requests are passed on to may take.
const FORWARD_TIMEOUT: Duration = Duration::from_secs(60);
/// Headers of one connection, which are not passed on.
const OWN_HEADERS: [&str; 6] = ["host", "connection", "content-length", "transfer-encoding", "keep-alive", "expect"];

#[derive(Debug, clap::Args)]
pub(super) struct FaultArgs {
    /// Answer with this status; with --rate, answer so only to what exceeds the rate [default with --rate: 429]
    #[arg(long, value_name = "CODE", value_parser = whole_in(200..=599_u16))]
    status: Option<u16>,
    /// Wait this long before each answer, such as 2s
    #[arg(long, value_name = "TIME", value_parser = delay)]
    delay: Option<Duration>,
    /// Take this many requests a second, such as 1/s or 30/m, and refuse the others
    #[arg(long, value_name = "RATE", value_parser = rate)]
    rate: Option<f64>,
    /// Pass each request with a valid signature on to this address, and answer what it answers
    #[arg(long, value_name = "URL", value_parser = address)]
    forward: Option<Url>,
}

/// Decides how requests are answered.
#[derive(Debug)]
pub(super) struct ReceiverFaults {
    status: Option<StatusCode>,
    pub(super) delay: Duration,
    bucket: Option<Mutex<TokenBucket>>,
    forward: Option<(Client, Url)>,
}

/// The answer to a request whose signature is valid.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReceiverAnswer {
    Take,
    Refuse(StatusCode),
}

impl ReceiverFaults {
    /// # Errors
    /// If requests are to be passed on and no client can be set up.
    pub(super) fn new(args: &FaultArgs) -> anyhow::Result<Self> {
        let forward = args.forward.clone().map(|url| {
            let client = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
            Ok::<_, reqwest::Error>((client.timeout(FORWARD_TIMEOUT).build()?, url))
        });
        Ok(Self {
            status: args.status.map(StatusCode::from_u16).transpose()?,
            delay: args.delay.unwrap_or_default(),
            bucket: args.rate.map(|rate| Mutex::new(TokenBucket::new(1.0, rate, 1.0, 1e-9, Mono::ZERO))),
            forward: forward.transpose().context("cannot set up the HTTP client for --forward")?,
        })
    }

    pub(super) fn answer(&self, now: Mono) -> ReceiverAnswer {
        match (&self.bucket, self.status) {
            (Some(bucket), status) => {
                let takes = bucket.lock().unwrap_or_else(PoisonError::into_inner).try_take(now);
                if takes {
                    ReceiverAnswer::Take
                } else {
                    ReceiverAnswer::Refuse(status.unwrap_or(StatusCode::TOO_MANY_REQUESTS))
                }
            }
            (None, Some(status)) if !status.is_success() => ReceiverAnswer::Refuse(status),
            (None, _) => ReceiverAnswer::Take,
        }
    }

    /// Returns the status of a request that is taken and was not passed on.
    pub(super) fn status(&self) -> StatusCode {
        self.status.filter(StatusCode::is_success).unwrap_or(StatusCode::NO_CONTENT)
    }

    /// Passes a request on, if that was asked for, and returns the status and the body of the answer. `Err` is the sentence
    /// that says why there is none.
    pub(super) async fn forward(
        &self,
        headers: &HeaderMap,
        body: Bytes,
        cap: usize,
    ) -> Option<Result<(StatusCode, Vec<u8>), String>> {
        let (client, url) = self.forward.as_ref()?;
        let mut headers = headers.clone();
        OWN_HEADERS.into_iter().for_each(|name| drop(headers.remove(name)));
        let answer = async {
            let response = client.post(url.clone()).headers(headers).body(body).send().await;
            let response = response.map_err(|error| format!("the address of --forward: {}", error.without_url()))?;
            let status = response.status();
            let body = capped_body::read(response, cap).await.map_err(|error| format!("its answer: {error}"))?;
            Ok((status, body))
        };
        Some(answer.await)
    }
}

fn delay(text: &str) -> Result<Duration, String> {
    let longest = Duration::from_secs(3600);
    let delay = humantime::parse_duration(text).ok().filter(|delay| *delay <= longest);
    delay.ok_or_else(|| "must be a time such as 2s or 500ms, at most 1h".to_owned())
}

/// Parses a rate such as `1/s`, `30/m` or `0.5/s`.
fn rate(text: &str) -> Result<f64, String> {
    let parsed = text.split_once('/').and_then(|(count, unit)| {
        let seconds = match unit {
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        count.trim().parse::<f64>().ok().map(|count| count / seconds)
    });
    let rate = parsed.filter(|rate| (1e-4..=1e6).contains(rate));
    rate.ok_or_else(|| "must be a number and a unit, such as 1/s, 30/m or 100/h".to_owned())
}

fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
    url.ok_or_else(|| "must be an address such as http://127.0.0.1:8080/hook".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::arguments::parsed;

    fn faults(line: &str) -> ReceiverFaults {
        ReceiverFaults::new(&parsed::<FaultArgs>(line).unwrap()).unwrap()
    }

    #[test]
    fn a_rate_takes_what_fits_it_and_refuses_the_rest() {
        for (line, refused) in [("--rate 1/s", 429), ("--rate 60/m --status 503", 503)] {
            let faults = faults(line);
            let at = |millis| match faults.answer(Duration::from_millis(millis)) {
                ReceiverAnswer::Take => 0,
                ReceiverAnswer::Refuse(status) => status.as_u16(),
            };
            assert_eq!(
                [at(0), at(10), at(999), at(1000), at(1500), at(9000), at(9001)],
                [0, refused, refused, 0, refused, 0, refused]
            );
        }
    }

    #[test]
    fn a_status_answers_every_request() {
        assert_eq!(faults("--status 503").answer(Mono::ZERO), ReceiverAnswer::Refuse(StatusCode::SERVICE_UNAVAILABLE));
        let taken = faults("--status 202 --delay 2s");
        assert_eq!((taken.answer(Mono::ZERO), taken.status()), (ReceiverAnswer::Take, StatusCode::ACCEPTED));
        assert_eq!(taken.delay, Duration::from_secs(2));
        assert_eq!(
            (faults("").answer(Mono::ZERO), faults("").status()),
            (ReceiverAnswer::Take, StatusCode::NO_CONTENT)
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_an_example() {
        for (bad, example) in [
            ("--rate 0/s", "30/m"),
            ("--rate 1", "30/m"),
            ("--rate NaN/s", "30/m"),
            ("--rate 1/week", "30/m"),
            ("--delay soon", "500ms"),
            ("--delay 2d", "1h"),
            ("--forward ftp://x/", "http://127.0.0.1"),
            ("--forward hook", "http://127.0.0.1"),
            ("--status 99", "200"),
        ] {
            let error = parsed::<FaultArgs>(bad).unwrap_err().to_string();
            assert!(error.contains(example), "{bad}: {error}");
        }
    }
}
