//! A clock that counts the work of this thread alone, and how figures are printed.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Returns the CPU time that this thread has used.
pub(crate) fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanoseconds.unwrap_or_default())
}

/// Returns the CPU time that some work takes on this thread, and its result.
pub(crate) fn cpu_of<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let begun = cpu();
    let result = work();
    (cpu().saturating_sub(begun), result)
}

/// Several measurements of the same thing.
#[derive(Debug, Clone)]
pub(crate) struct Figures(Vec<f64>);

impl Figures {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn add(&mut self, figure: f64) {
        let at = self.0.partition_point(|other| *other < figure);
        self.0.insert(at, figure);
    }

    /// Returns the median, on which a single disturbance has no effect.
    pub(crate) fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// Returns the least and the most.
    pub(crate) fn spread(&self) -> (f64, f64) {
        (self.0.first().copied().unwrap_or(f64::NAN), self.0.last().copied().unwrap_or(f64::NAN))
    }
}

/// Prints the heading of a question.
#[expect(clippy::print_stdout, reason = "a benchmark's figures are its output")]
pub(crate) fn title(text: &str) {
    println!("\n## {text}\n");
}

/// Prints one line of an answer.
#[expect(clippy::print_stdout, reason = "a benchmark's figures are its output")]
pub(crate) fn line(what: &str, figure: &str) {
    println!("{what:<64} {figure}");
}

/// Returns a count as a number to compute with.
pub(crate) fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
