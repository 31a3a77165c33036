//! Many histories on several threads, and their totals.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::history::{History, HistoryError, HistoryOptions, run};

/// The histories to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// The first seed, and the number of seeds.
    pub from: u64,
    pub seeds: u64,
    pub length: Duration,
    pub faults: bool,
    pub crashes: bool,
    pub threads: usize,
    /// No further history is started once this many disagreed.
    pub failures: usize,
}

/// The totals of many histories.
#[derive(Debug, Clone, Default)]
pub struct BatchReport {
    pub histories: u64,
    pub simulated: Duration,
    pub conferred: Duration,
    pub conferences: u64,
    pub sessions: u64,
    pub reads: u64,
    pub crashes: u64,
    pub deliveries: u64,
    pub faults: BTreeMap<&'static str, u64>,
    pub events: BTreeMap<&'static str, u64>,
    pub disagreements: u64,
    /// The seeds whose histories disagree, in order.
    pub failures: Vec<FailedSeed>,
}

/// A seed whose log disagrees with its world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedSeed {
    pub seed: u64,
    pub disagreements: Vec<String>,
}

impl Batch {
    /// Returns the options of the history of a seed.
    #[must_use]
    pub fn options(&self, seed: u64) -> HistoryOptions {
        HistoryOptions {
            seed,
            length: self.length,
            faults: self.faults,
            crashes: self.crashes,
            ..HistoryOptions::default()
        }
    }

    /// Runs the histories. After each one, `progress` is called with the number that are done, by several threads.
    ///
    /// # Errors
    /// [`HistoryError`] if a history could not be run.
    pub fn run(&self, progress: impl Fn(u64) + Sync) -> Result<BatchReport, HistoryError> {
        let (next, done, stop) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        let tally = Mutex::new(Ok(BatchReport::default()));
        let work = || {
            while !stop.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= self.seeds {
                    break;
                }
                let seed = self.from.saturating_add(number);
                let result = run(self.options(seed));
                let mut tally = tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                match (result, &mut *tally) {
                    (Ok(history), Ok(tally)) => {
                        tally.add(seed, history);
                        stop.fetch_or(tally.failures.len() >= self.failures, Ordering::Relaxed);
                    }
                    (Err(broken), all) => {
                        *all = Err(broken);
                        stop.store(true, Ordering::Relaxed);
                    }
                    (Ok(_), Err(_)) => {}
                }
                drop(tally);
                progress(done.fetch_add(1, Ordering::Relaxed) + 1);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(work);
            }
        });
        let mut tally = tally.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)?;
        tally.failures.sort_by_key(|failure| failure.seed);
        Ok(tally)
    }
}

impl BatchReport {
    fn add(&mut self, seed: u64, history: History) {
        self.histories += 1;
        self.simulated += history.simulated;
        self.conferred += history.conferred;
        self.conferences += history.conferences as u64;
        self.sessions += history.sessions as u64;
        self.reads += history.reads;
        self.crashes += history.crashes;
        self.deliveries += history.deliveries;
        for (sum, counts) in [(&mut self.faults, &history.faults), (&mut self.events, &history.events)] {
            for (name, count) in counts {
                *sum.entry(name).or_default() += count;
            }
        }
        if !history.disagreements.is_empty() {
            self.disagreements += history.disagreements.len() as u64;
            self.failures.push(FailedSeed { seed, disagreements: history.disagreements });
        }
    }
}
