//! What reading costs: `cargo bench --bench reading`, or `cargo bench --bench reading -- poll memory` for some of it.
//!
//! Each question has a file and is measured in a process of its own. Beside it, in the same run, something outside of this
//! program does the same work plainly: on a busy machine the ratio still means something, and microseconds do not. Counted
//! is the CPU time of the measuring thread; answers are made on another. Seeds are fixed. No test depends on the results.

mod figures;
mod google;
mod histories;
mod memory;
mod poll;
mod reads;
mod roster;
mod watching;

use anyhow::{Context, Result, ensure};

/// Measures and prints the answer to a question.
type Measure = fn() -> Result<()>;

/// The questions, in the order in which they are answered.
const QUESTIONS: [(&str, Measure); 5] = [
    ("poll", poll::measure),
    ("roster", roster::measure),
    ("memory", memory::measure),
    ("reads", reads::measure),
    ("histories", histories::measure),
];

fn main() -> Result<()> {
    // `cargo bench` adds flags that are meant for other harnesses.
    let asked: Vec<_> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if let [one] = asked.as_slice() {
        let (_, measure) =
            QUESTIONS.iter().find(|(name, _)| name == one).with_context(|| format!("no such question: {one}"))?;
        return measure();
    }
    let program = std::env::current_exe()?;
    for (name, _) in QUESTIONS.iter().filter(|(name, _)| asked.is_empty() || asked.iter().any(|one| one == name)) {
        let status = std::process::Command::new(&program).arg(name).status()?;
        ensure!(status.success(), "{name} could not be measured");
    }
    Ok(())
}
