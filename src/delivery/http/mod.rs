//! Transport: sends a written message to an endpoint over HTTP, signed, and translates the answer into an
//! [`Outcome`](super::Outcome).

pub mod answer;
pub mod answer_patterns;
mod connections;
pub mod excerpt;
pub mod guard;
pub mod headers;
pub mod send;
pub mod sign;
pub mod tls;

pub use reqwest::Url;
