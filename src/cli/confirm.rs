//! Asks before something is deleted or sent again: what will happen, and to how many.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::bail;
use serde_json::Value;

use super::daemon_client::DaemonClient;
use super::output;
use super::table::counted;

/// More deliveries are not counted before the question.
const MAX_PAGES: usize = 50;

/// The options of commands that delete something or send it again.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(super) struct ConfirmArgs {
    /// Do it without a question
    #[arg(long)]
    pub(super) yes: bool,
    /// Only say what would happen, and to how many
    #[arg(long, conflicts_with = "yes")]
    pub(super) dry_run: bool,
}

/// What happens where nobody can be asked, and `--yes` was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unasked {
    /// It cannot be undone, so it is refused.
    Refuse,
    /// Nothing is lost by it, and scripts may rely on it.
    GoOn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConfirmStep {
    GoOn,
    OnlySay,
    Ask,
    Refuse,
}

impl ConfirmArgs {
    const fn step(self, terminal: bool, unasked: Unasked) -> ConfirmStep {
        match (self.dry_run, self.yes, terminal, unasked) {
            (true, ..) => ConfirmStep::OnlySay,
            (_, true, ..) | (_, _, false, Unasked::GoOn) => ConfirmStep::GoOn,
            (_, _, true, _) => ConfirmStep::Ask,
            (_, _, false, Unasked::Refuse) => ConfirmStep::Refuse,
        }
    }

    /// Returns whether somebody will be asked or told, so that it has to be known what will happen.
    pub(super) fn needs_words(self, unasked: Unasked) -> bool {
        self.step(can_ask(), unasked) != ConfirmStep::GoOn
    }

    /// Returns the exit code if the command ends here, and `None` if it goes on. `what` is a sentence without its full stop.
    ///
    /// # Errors
    /// Where nobody can be asked and it may not go on, or the answer cannot be read.
    pub(super) fn ends_here(self, what: &str, unasked: Unasked) -> anyhow::Result<Option<ExitCode>> {
        match self.step(can_ask(), unasked) {
            ConfirmStep::GoOn => Ok(None),
            ConfirmStep::OnlySay => {
                output::line(format_args!("{what}; with --dry-run nothing was changed"))?;
                Ok(Some(ExitCode::SUCCESS))
            }
            ConfirmStep::Ask if asked(what)? => Ok(None),
            ConfirmStep::Ask => {
                output::complain("nothing was changed");
                Ok(Some(ExitCode::FAILURE))
            }
            ConfirmStep::Refuse => bail!("{what}; nothing was changed, because nobody can be asked here: add --yes"),
        }
    }
}

pub(super) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks on the terminal. Anything but `y` or `yes` is a no.
pub(super) fn asked(what: &str) -> anyhow::Result<bool> {
    write!(io::stderr(), "{what}. Go on? [y/N] ")?;
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}

/// Says how many deliveries a replay sends again. `request` is what the daemon will be asked.
///
/// # Errors
/// Where no daemon runs, or it refuses the request.
pub(super) async fn of_a_replay(daemon: &DaemonClient, request: &Value) -> anyhow::Result<String> {
    if let Some(id) = request["delivery"].as_i64() {
        return Ok(format!("delivery {id} is sent again"));
    }
    let endpoint = request["endpoint"].as_str().unwrap_or_default();
    let mut query = vec![("endpoint", endpoint.to_owned()), ("limit", "1000".to_owned())];
    let states: &[&str] = if request["dead"] == true { &["dead"] } else { &["done", "dead", "expired"] };
    query.extend(states.iter().map(|state| ("state", (*state).to_owned())));
    let time = |key: &'static str| request[key].as_str().map(|time| (key, time.to_owned()));
    query.extend(["from", "to"].into_iter().filter_map(time));
    let mut count = 0;
    for _ in 0..MAX_PAGES {
        let answer = daemon.get(&["deliveries"], &query).await?;
        count += answer["deliveries"].as_array().map_or(0, Vec::len) as u64;
        let Some(next) = answer["next"].as_i64() else {
            let deliveries = counted(count, "delivery is sent again", "deliveries are sent again");
            return Ok(format!("{deliveries} to {endpoint}"));
        };
        query.retain(|(name, _)| *name != "before");
        query.push(("before", next.to_string()));
    }
    Ok(format!("more than {count} deliveries are sent again to {endpoint}"))
}

/// Says what is deleted with an endpoint. `None` if it cannot be removed: the daemon says why.
pub(super) fn of_a_removal(endpoints: &Value, name: &str) -> Option<String> {
    let mut rows = endpoints["endpoints"].as_array()?.iter();
    let row = rows.find(|row| row["name"] == name && row["orphaned"] == true)?;
    let number = |key: &str| row[key].as_u64().unwrap_or_default();
    let (pending, dead) = (number("pending"), number("dead"));
    Some(format!(
        "{name} is deleted for good with all its deliveries: {pending} pending, {dead} dead, and those that arrived"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_deletes_is_refused_where_nobody_can_be_asked_and_what_sends_again_is_not() {
        let (bare, yes, dry) = (
            ConfirmArgs::default(),
            ConfirmArgs { yes: true, dry_run: false },
            ConfirmArgs { yes: false, dry_run: true },
        );
        for unasked in [Unasked::Refuse, Unasked::GoOn] {
            assert_eq!(bare.step(true, unasked), ConfirmStep::Ask);
            for terminal in [true, false] {
                assert_eq!(yes.step(terminal, unasked), ConfirmStep::GoOn);
                assert_eq!(dry.step(terminal, unasked), ConfirmStep::OnlySay);
            }
        }
        assert_eq!(bare.step(false, Unasked::Refuse), ConfirmStep::Refuse);
        assert_eq!(bare.step(false, Unasked::GoOn), ConfirmStep::GoOn);
    }

    #[test]
    fn only_a_yes_is_a_yes() {
        assert!(is_yes("y\n") && is_yes(" Yes \n"));
        assert!(!is_yes("\n") && !is_yes("") && !is_yes("no\n") && !is_yes("yesterday\n"));
    }

    #[test]
    fn the_question_about_a_removal_says_how_many_deliveries_go() {
        let endpoints = json!({"endpoints": [
            {"name": "old", "orphaned": true, "pending": 250, "dead": 3},
            {"name": "ops", "orphaned": false, "pending": 1, "dead": 0},
        ]});
        assert!(of_a_removal(&endpoints, "old").unwrap().contains("250 pending, 3 dead"));
        assert_eq!(of_a_removal(&endpoints, "ops"), None, "the daemon refuses it and says why");
        assert_eq!(of_a_removal(&endpoints, "nobody"), None);
    }
}
