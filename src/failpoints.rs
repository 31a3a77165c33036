//! Failpoints: places where a test makes the process abort or a loop hang.
//!
//! A failpoint is armed with a hit count and passed down as a plain value to the code that contains it. Only the hidden
//! options of `meetwatch run` and tests arm one. An unarmed failpoint costs one comparison.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A place at which a crash of the process is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbortPoint {
    /// A schema migration is written but not committed.
    Migration,
    /// A transaction of the store is written but not committed.
    Commit,
    /// A transaction of the store is committed, but its caller has no answer yet.
    Committed,
    /// A webhook receiver answered, but the result is not recorded yet.
    Answered,
}

impl AbortPoint {
    /// Every point.
    const ALL: [Self; 4] = [Self::Migration, Self::Commit, Self::Committed, Self::Answered];

    /// The name on the command line.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Migration => "migration",
            Self::Commit => "commit",
            Self::Committed => "committed",
            Self::Answered => "answered",
        }
    }
}

/// Aborts the process at the nth hit of one [`AbortPoint`]. Unarmed by default. Clones share their hit count.
#[derive(Debug, Clone, Default)]
pub struct AbortFailpoint(Option<Arc<Armed>>);

#[derive(Debug)]
struct Armed {
    point: AbortPoint,
    hits_left: AtomicU32,
}

impl AbortFailpoint {
    /// Counts a hit of `point`, and aborts the process if it is the one that was armed.
    pub fn hit(&self, point: AbortPoint) {
        if let Some(armed) = &self.0
            && armed.point == point
            && armed.hits_left.fetch_sub(1, Ordering::Relaxed) == 1
        {
            std::process::abort();
        }
    }
}

/// The text is not of the form `POINT:N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be migration, commit, committed or answered, followed by a colon and a number from 1")]
pub struct InvalidFailpoint;

impl FromStr for AbortFailpoint {
    type Err = InvalidFailpoint;

    /// Parses `POINT:N`, such as `commit:3`.
    fn from_str(text: &str) -> Result<Self, InvalidFailpoint> {
        let (name, number) = text.split_once(':').ok_or(InvalidFailpoint)?;
        let point = AbortPoint::ALL.into_iter().find(|point| point.as_str() == name).ok_or(InvalidFailpoint)?;
        let hits = number.parse().ok().filter(|hits| *hits > 0).ok_or(InvalidFailpoint)?;
        Ok(Self(Some(Arc::new(Armed { point, hits_left: AtomicU32::new(hits) }))))
    }
}

/// Makes a loop hang forever at its nth turn, to test the watchdog. Unarmed by default. Clones share their hit count.
#[derive(Debug, Clone, Default)]
pub struct HangFailpoint(Option<Arc<ArmedHang>>);

#[derive(Debug)]
struct ArmedHang {
    hits_left: AtomicU32,
    /// Every thread of the runtime hangs, and not the loop alone.
    wholly: bool,
}

impl HangFailpoint {
    /// Returns a failpoint that hangs at the `nth` turn; 0 counts as 1.
    #[must_use]
    pub fn nth(nth: u32) -> Self {
        Self(Some(Arc::new(ArmedHang { hits_left: AtomicU32::new(nth.max(1)), wholly: false })))
    }

    /// Returns a failpoint that hangs every thread of the runtime at the `nth` turn; 0 counts as 1.
    #[must_use]
    pub fn nth_wholly(nth: u32) -> Self {
        Self(Some(Arc::new(ArmedHang { hits_left: AtomicU32::new(nth.max(1)), wholly: true })))
    }

    /// Counts a turn of the loop. Never returns at the turn that was armed.
    pub async fn hit(&self) {
        let Some(armed) = &self.0 else { return };
        if armed.hits_left.fetch_sub(1, Ordering::Relaxed) != 1 {
            return;
        }
        if armed.wholly {
            let workers = tokio::runtime::Handle::current().metrics().num_workers();
            for _ in 0..2 * workers {
                tokio::spawn(async { hang_thread() });
            }
            hang_thread();
        }
        std::future::pending::<()>().await;
    }
}

/// Never returns.
fn hang_thread() {
    loop {
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failpoint_is_parsed_from_its_point_and_hit_count() {
        for point in AbortPoint::ALL {
            let parsed: AbortFailpoint = format!("{}:3", point.as_str()).parse().unwrap();
            let armed = parsed.0.unwrap();
            assert_eq!((armed.point, armed.hits_left.load(Ordering::Relaxed)), (point, 3));
        }
        for wrong in ["", "commit", "commit:", "commit:0", "commit:-1", "comit:1", "commit:1:2"] {
            assert_eq!(wrong.parse::<AbortFailpoint>().unwrap_err(), InvalidFailpoint, "{wrong}");
        }
    }

    #[test]
    fn other_points_and_earlier_hits_do_not_abort() {
        AbortFailpoint::default().hit(AbortPoint::Commit);
        let twice: AbortFailpoint = "commit:2".parse().unwrap();
        twice.hit(AbortPoint::Answered);
        twice.clone().hit(AbortPoint::Commit);
    }

    #[tokio::test]
    async fn a_loop_hangs_at_the_armed_turn_and_not_before() {
        HangFailpoint::default().hit().await;
        let third = HangFailpoint::nth(3);
        third.hit().await;
        third.hit().await;
        let waited = tokio::time::timeout(std::time::Duration::from_millis(20), third.hit()).await;
        assert!(waited.is_err());
    }
}
