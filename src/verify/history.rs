//! One history: what it is made of, and what came of it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::journal::Journal;
use super::play::Play;

/// What kind of history to make. The rest is drawn from the seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    pub seed: u64,
    /// How long people meet.
    pub length: Duration,
    /// Whether anything goes wrong between Google and the process, with the clocks, or in the store.
    pub faults: bool,
    /// Whether the process dies now and then.
    pub crashes: bool,
    /// Whether the configuration changes now and then.
    pub reloads: bool,
    /// Whether to keep a journal.
    pub journal: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 0, length: Duration::from_secs(3600), faults: true, crashes: true, reloads: false, journal: false }
    }
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// How much time passed in it.
    pub simulated: Duration,
    /// How long conferences lasted, together.
    pub conferred: Duration,
    pub conferences: usize,
    pub sessions: usize,
    pub reads: u64,
    pub crashes: u64,
    /// Attempts to deliver an event, where the history delivers.
    pub deliveries: u64,
    /// What went wrong, by kind, how often.
    pub faults: BTreeMap<&'static str, u64>,
    /// By provenance.
    pub events: BTreeMap<&'static str, u64>,
    /// What the log says and the world does not, or the other way round. Empty is well.
    pub disagreements: Vec<String>,
    /// The log, a line each, as somebody would read it, with the conference each belongs to.
    pub log: Vec<(String, String)>,
    /// The events themselves, byte for byte as the store has them, in the order of the log.
    pub bodies: Vec<String>,
    /// What happened besides, if it was asked for.
    pub journal: Journal,
    /// The circumstances, in words.
    pub circumstances: String,
}

/// A history that could not be run at all.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    #[error("the store of the history failed: {0}")]
    Store(String),
    #[error("the history could not be set up: {0}")]
    Setup(String),
}

/// Runs one history to its end and compares.
///
/// # Errors
/// [`Broken`] if the history itself could not be run; that the log is wrong is not an error but a disagreement.
pub fn run(options: Options) -> Result<History, Broken> {
    let mut play = Play::new(options)?;
    play.play()?;
    play.compare()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agree(faults: bool, crashes: bool, seeds: std::ops::Range<u64>) {
        for seed in seeds {
            let history = run(Options { seed, faults, crashes, ..Options::default() }).unwrap();
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
            let history = run(Options { seed, faults, crashes: false, reloads: true, ..Options::default() }).unwrap();
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
            let options = Options { seed, ..Options::default() };
            let (one, other) = (run(options).unwrap(), run(options).unwrap());
            assert!(!one.bodies.is_empty());
            assert_eq!(one.bodies, other.bodies);
        }
    }
}
