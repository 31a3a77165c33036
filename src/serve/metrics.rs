//! `/metrics` in Prometheus' text format: what each room counts in the shared registry, and what the status board shows
//! at this moment.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry, TEXT_FORMAT, TextEncoder};

use super::board::BoardCollector;
use super::routes::{Shared, refusal};
use crate::status::StatusBoard;

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The revision it was built from, or `unknown`.
pub const REVISION: &str = env!("MEETWATCH_REVISION");

/// Registers what belongs to no other room: the build, the process, and what the board shows. At most
/// `max_conferences` conferences have series of their own.
///
/// # Errors
/// If the registry has one of these names already.
pub fn register(registry: &Registry, board: &StatusBoard, max_conferences: usize) -> prometheus::Result<()> {
    let help = "1, with the version and the revision of the running program.";
    let build = IntGaugeVec::new(Opts::new("meetwatch_build_info", help), &["version", "revision"])?;
    build.with_label_values(&[VERSION, REVISION]).set(1);
    registry.register(Box::new(build))?;
    #[cfg(target_os = "linux")]
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
    registry.register(Box::new(BoardCollector::new(board.clone(), max_conferences)?))
}

/// Registers `meetwatch_limit_reached_total`, which every room that has a limit counts in. Whoever has a limit makes its
/// series at once, with `with_label_values`, so that it is there at zero.
///
/// # Errors
/// If the registry has this name already.
pub fn limit_reached(registry: &Registry) -> prometheus::Result<IntCounterVec> {
    let help = "How often a bound of the program was reached, by bound.";
    let counter = IntCounterVec::new(Opts::new("meetwatch_limit_reached_total", help), &["limit"])?;
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

/// `/metrics`.
pub(super) async fn scrape(State(shared): State<Arc<Shared>>) -> Response {
    // However many ask at once, so many answers at most are in memory.
    let Ok(_permit) = shared.scrapes.acquire().await else {
        return refusal(StatusCode::SERVICE_UNAVAILABLE, "the program is about to stop");
    };
    let registry = shared.registry.clone();
    // Reads files under /proc and may take milliseconds: not on a thread that polls.
    let text = tokio::task::spawn_blocking(move || TextEncoder::new().encode_to_string(&registry.gather())).await;
    match text {
        Ok(Ok(text)) => ([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Ok(Err(error)) => {
            tracing::error!(%error, "the metrics could not be written");
            refusal(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written")
        }
        Err(_) => refusal(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be gathered"),
    }
}
