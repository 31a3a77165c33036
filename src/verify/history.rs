//! One history: its options, and its result.

use std::collections::BTreeMap;
use std::time::Duration;

use super::journal::Journal;
use super::simulation::Simulation;

/// The options of a history. Everything else is drawn from the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryOptions {
    pub seed: u64,
    /// How long meetings are held.
    pub length: Duration,
    /// Whether there are faults in Google's answers, the clocks and the store.
    pub faults: bool,
    /// Whether the process crashes at times.
    pub crashes: bool,
    /// Whether the configuration changes at times.
    pub reloads: bool,
    /// Whether to keep a journal of reads and incidents.
    pub journal: bool,
}

impl Default for HistoryOptions {
    fn default() -> Self {
        Self { seed: 0, length: Duration::from_secs(3600), faults: true, crashes: true, reloads: false, journal: false }
    }
}

/// The result of a history.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The simulated time.
    pub simulated: Duration,
    /// The total length of all conferences.
    pub conferred: Duration,
    pub conferences: usize,
    pub sessions: usize,
    pub reads: u64,
    pub crashes: u64,
    /// Attempts to deliver an event, if the history has receivers.
    pub deliveries: u64,
    /// How often each fault and incident occurred.
    pub faults: BTreeMap<&'static str, u64>,
    /// The number of events, by provenance.
    pub events: BTreeMap<&'static str, u64>,
    /// The differences between the log and the world. Empty if they agree.
    pub disagreements: Vec<String>,
    /// The log: for each event its conference and a readable line.
    pub log: Vec<(String, String)>,
    /// The bodies of the events as stored, in the order of the log.
    pub bodies: Vec<String>,
    /// What else happened, if the options ask for a journal.
    pub journal: Journal,
    /// A description of the scenario.
    pub circumstances: String,
}

/// A history could not be run.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("the store of the history failed: {0}")]
    Store(String),
    #[error("the history could not be set up: {0}")]
    Setup(String),
}

/// Runs one history to its end and compares the log with the world.
///
/// # Errors
/// [`HistoryError`] if the history could not be run. A wrong log is not an error but a disagreement.
pub fn run(options: HistoryOptions) -> Result<History, HistoryError> {
    let mut simulation = Simulation::new(options)?;
    simulation.run()?;
    simulation.compare()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agree(faults: bool, crashes: bool, seeds: std::ops::Range<u64>) {
        for seed in seeds {
            let history = run(HistoryOptions { seed, faults, crashes, ..HistoryOptions::default() }).unwrap();
            assert!(
                history.disagreements.is_empty(),
                "seed {seed}: {} {:?}\n{}",
                history.circumstances,
                history.faults,
                history.disagreements.join("\n"),
            );
        }
    }

    #[test]
    fn an_undisturbed_history_agrees_with_the_world() {
        agree(false, false, 0..30);
    }

    #[test]
    fn a_history_with_crashes_agrees_with_the_world() {
        agree(false, true, 0..30);
    }

    #[test]
    fn a_history_with_every_fault_agrees_with_the_world() {
        agree(true, false, 0..30);
    }

    #[test]
    fn a_history_with_faults_and_crashes_agrees_with_the_world() {
        agree(true, true, 0..60);
    }

    #[test]
    fn a_history_in_which_the_configuration_changes_agrees_with_the_world() {
        let mut reloads = 0;
        for (seed, faults) in (0..30).map(|seed| (seed, seed % 2 == 0)) {
            let history =
                run(HistoryOptions { seed, faults, crashes: false, reloads: true, ..HistoryOptions::default() })
                    .unwrap();
            reloads += history.faults.get("reload").copied().unwrap_or_default();
            assert!(
                history.disagreements.is_empty(),
                "seed {seed}: {} {:?}\n{}",
                history.circumstances,
                history.faults,
                history.disagreements.join("\n"),
            );
        }
        assert!(reloads > 100, "{reloads}");
    }

    #[test]
    fn the_same_seed_gives_the_same_log_byte_for_byte() {
        for seed in [7, 8, 9] {
            let options = HistoryOptions { seed, ..HistoryOptions::default() };
            let (one, other) = (run(options).unwrap(), run(options).unwrap());
            assert!(!one.bodies.is_empty());
            assert_eq!(one.bodies, other.bodies);
        }
    }
}
