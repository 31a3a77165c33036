//! A response of the API, and the faults of its transmission.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::call::AnswerStyle;
use super::error::GoogleError;
use super::mask::Mask;
use crate::sim::faults::Fault;

/// One HTTP response, without a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiReply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// How long the server waits before it sends the response.
    pub delay: Duration,
    pub transmission: Transmission,
}

/// How a response is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transmission {
    Whole,
    /// The connection closes after so many bytes of the body.
    CutOff(usize),
    /// The connection is reset before the first byte.
    Reset,
}

const JSON: &str = "application/json; charset=UTF-8";
const HTML: &str = "text/html; charset=UTF-8";

impl ApiReply {
    fn new(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        let headers = vec![("content-type", content_type.to_owned()), ("vary", "Origin, X-Origin, Referer".to_owned())];
        Self { status, headers, body, delay: Duration::ZERO, transmission: Transmission::Whole }
    }

    pub(super) fn json(status: u16, body: &impl Serialize) -> Self {
        // Plain structures with string keys always serialize to JSON.
        Self::new(status, JSON, serde_json::to_vec_pretty(body).unwrap_or_default())
    }

    pub(super) fn styled(body: &impl Serialize, style: &AnswerStyle) -> Self {
        let written = match (&style.mask, style.pretty) {
            (Mask::All, true) => serde_json::to_vec_pretty(body),
            (Mask::All, false) => serde_json::to_vec(body),
            (mask, pretty) => serde_json::to_value(body).and_then(|mut value| {
                mask.apply(&mut value);
                if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }
            }),
        };
        Self::new(200, JSON, written.unwrap_or_default())
    }

    pub(super) fn refusal(refusal: &GoogleError) -> Self {
        let mut reply = Self::json(refusal.code, &refusal.body());
        if let Some(after) = refusal.retry_after {
            reply.headers.push(("retry-after", after.as_secs().to_string()));
        }
        if refusal.code == 401 {
            let challenge = "Bearer realm=\"https://accounts.google.com/\", error=\"invalid_token\"";
            reply.headers.push(("www-authenticate", challenge.to_owned()));
        }
        reply
    }

    /// An HTML page of Google's front end.
    pub(super) fn html(status: u16) -> Self {
        let page = format!(
            "<!DOCTYPE html>\n<html lang=en>\n<title>Error {status}</title>\n<p><b>{status}.</b> <ins>That’s an \
             error.</ins>\n<p>That’s all we know.\n"
        );
        Self::new(status, HTML, page.into_bytes())
    }

    pub(super) fn redirect(location: String) -> Self {
        let mut reply = Self::new(302, HTML, Vec::new());
        reply.headers.push(("location", location));
        reply
    }

    /// Applies the faults to a finished response and adds its `Date`.
    pub(super) fn with_faults(mut self, faults: &[Fault], now: Timestamp) -> Self {
        let mut skew = SignedDuration::ZERO;
        for fault in faults {
            match fault {
                Fault::Slow(delay) => self.delay += *delay,
                Fault::Reset => self.transmission = Transmission::Reset,
                Fault::CutOff if self.transmission == Transmission::Whole => {
                    self.transmission = Transmission::CutOff(self.body.len() / 2);
                }
                Fault::Malformed => self.body.truncate(self.body.len() / 2),
                Fault::Html(status) => {
                    self = Self { delay: self.delay, transmission: self.transmission, ..Self::html(*status) }
                }
                // Spaces before the last byte keep the JSON valid.
                Fault::Oversized(bytes) => {
                    let end = self.body.pop();
                    self.body.resize(self.body.len() + bytes, b' ');
                    self.body.extend(end);
                }
                Fault::Skew(by) => skew += *by,
                _ => {}
            }
        }
        let stamp = now.saturating_add(skew).unwrap_or(now);
        if let Ok(date) = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&stamp) {
            self.headers.push(("date", date));
        }
        self
    }

    /// Returns a header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }

    /// Returns the body as JSON, or null if it is not JSON.
    #[must_use]
    pub fn value(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}
