//! Metrics that belong to no other module: the build, the process, the bounds that all modules share, and the status board.

mod status_collector;

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

use crate::status::StatusBoard;
use status_collector::StatusCollector;

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The source revision it was built from, or `unknown`.
pub const REVISION: &str = env!("MEETWATCH_REVISION");

/// Registers the metrics of the build, of the process, and of the status board. At most `max_conferences` conferences get
/// series of their own.
///
/// # Errors
/// If one of these names is registered already.
pub fn register(registry: &Registry, board: &StatusBoard, max_conferences: usize) -> prometheus::Result<()> {
    let help = "Constant 1, labelled with the version and the source revision of the running program.";
    let build = IntGaugeVec::new(Opts::new("meetwatch_build_info", help), &["version", "revision"])?;
    build.with_label_values(&[VERSION, REVISION]).set(1);
    registry.register(Box::new(build))?;
    #[cfg(target_os = "linux")]
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
    registry.register(Box::new(StatusCollector::new(board.clone(), max_conferences)?))
}

/// Registers and returns `meetwatch_limit_reached_total`, which every module with a bound counts in. Call
/// `with_label_values` for each bound at the start, so that its series exists at zero.
///
/// # Errors
/// If the name is registered already.
pub fn limit_reached(registry: &Registry) -> prometheus::Result<IntCounterVec> {
    let help = "How often a built-in limit of the program was reached, by limit.";
    let counter = IntCounterVec::new(Opts::new("meetwatch_limit_reached_total", help), &["limit"])?;
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}
