//! Where a test can make the process die without a word, or a loop hang: at the nth passage.
//!
//! Plain values that are handed down to those who pass. Nothing sets them but a test's switch on the command line; what
//! nobody armed costs a comparison with nothing.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A place where dying is worth a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// A migration is written and not committed.
    Migration,
    /// A transaction of the store is written and not committed.
    Commit,
    /// A transaction of the store is committed, and nobody knows yet.
    Committed,
    /// A webhook was answered, and that is not recorded yet.
    Answered,
}

impl Point {
    /// Every point.
    pub const ALL: [Self; 4] = [Self::Migration, Self::Commit, Self::Committed, Self::Answered];

    /// The name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Migration => "migration",
            Self::Commit => "commit",
            Self::Committed => "committed",
            Self::Answered => "answered",
        }
    }
}

/// Where to die; by default nowhere. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct AbortAt(Option<Arc<Armed>>);

#[derive(Debug)]
struct Armed {
    point: Point,
    left: AtomicU32,
}

impl AbortAt {
    /// Says that a point is passed. Ends the process at once if this is the passage that was asked for.
    pub fn pass(&self, point: Point) {
        if let Some(armed) = &self.0
            && armed.point == point
            && armed.left.fetch_sub(1, Ordering::Relaxed) == 1
        {
            std::process::abort();
        }
    }
}

/// Not `POINT:N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be migration, commit, committed or answered, a colon, and a number from 1")]
pub struct NoSuchPoint;

impl FromStr for AbortAt {
    type Err = NoSuchPoint;

    fn from_str(text: &str) -> Result<Self, NoSuchPoint> {
        let (name, number) = text.split_once(':').ok_or(NoSuchPoint)?;
        let point = Point::ALL.into_iter().find(|point| point.as_str() == name).ok_or(NoSuchPoint)?;
        let left = number.parse().ok().filter(|left| *left > 0).ok_or(NoSuchPoint)?;
        Ok(Self(Some(Arc::new(Armed { point, left: AtomicU32::new(left) }))))
    }
}

/// At which of its turns a loop hangs for ever, for a test of whoever watches over it; by default at none.
#[derive(Debug, Clone, Default)]
pub struct HangAt(Option<Arc<AtomicU32>>);

impl HangAt {
    /// Hangs at the `nth` turn, which is at least the first.
    #[must_use]
    pub fn nth(nth: u32) -> Self {
        Self(Some(Arc::new(AtomicU32::new(nth.max(1)))))
    }

    /// Says that the loop turns. Never returns at the turn that was asked for.
    pub async fn pass(&self) {
        if let Some(left) = &self.0
            && left.fetch_sub(1, Ordering::Relaxed) == 1
        {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_named_with_the_passage_that_counts() {
        for point in Point::ALL {
            let parsed: AbortAt = format!("{}:3", point.as_str()).parse().unwrap();
            let armed = parsed.0.unwrap();
            assert_eq!((armed.point, armed.left.load(Ordering::Relaxed)), (point, 3));
        }
        for wrong in ["", "commit", "commit:", "commit:0", "commit:-1", "comit:1", "commit:1:2"] {
            assert_eq!(wrong.parse::<AbortAt>().unwrap_err(), NoSuchPoint, "{wrong}");
        }
    }

    #[test]
    fn whoever_passes_other_points_or_passes_too_seldom_lives() {
        AbortAt::default().pass(Point::Commit);
        let twice: AbortAt = "commit:2".parse().unwrap();
        twice.pass(Point::Answered);
        twice.clone().pass(Point::Commit);
    }

    #[tokio::test]
    async fn a_loop_hangs_at_the_turn_that_was_asked_for_and_no_earlier() {
        HangAt::default().pass().await;
        let third = HangAt::nth(3);
        third.pass().await;
        third.pass().await;
        let waited = tokio::time::timeout(std::time::Duration::from_millis(20), third.pass()).await;
        assert!(waited.is_err());
    }
}
