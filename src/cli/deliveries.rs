//! `meetwatch deliveries`: what is owed to whom, what became of it, and sending it once more.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::daemon::{Column, Daemon, Reach, cell, rendered, show_json, show_list};
use super::output;
use crate::clock::Clock;
use crate::model::text::for_terminal;
use crate::model::{ConferenceName, EndpointName};
use crate::store::DeliveryState;

const COLUMNS: [Column; 8] = [
    ("id", "/id"),
    ("endpoint", "/endpoint"),
    ("type", "/type"),
    ("conference", "/conference"),
    ("sequence", "/sequence"),
    ("state", "/state"),
    ("attempts", "/attempts"),
    ("reason", "/reason"),
];

const ATTEMPTS: [Column; 6] = [
    ("attempt", "/number"),
    ("began_at", "/began_at"),
    ("seconds", "/seconds"),
    ("status", "/status"),
    ("reason", "/reason"),
    ("answer", "/answer"),
];

/// List deliveries, the newest first; show one; or send some once more
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    filter: Filter,
    #[command(subcommand)]
    what: Option<What>,
}

/// Which deliveries to list.
#[derive(Debug, clap::Args)]
struct Filter {
    /// Only those of this webhook
    #[arg(long, value_name = "NAME", value_parser = EndpointName::parse)]
    endpoint: Option<EndpointName>,
    /// Only those in this state: pending, leased, done, dead, settled, expired; can be given more than once
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Vec<DeliveryState>,
    /// Only those of this conference
    #[arg(long, value_name = "conferenceRecords/…", value_parser = ConferenceName::parse)]
    conference: Option<ConferenceName>,
    /// Only those of events that were committed at or after this time, such as 2026-01-05T10:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Only those of events that were committed before this time
    #[arg(long, value_name = "TIME")]
    to: Option<Timestamp>,
    /// Only those of events no older than this, such as 2h
    #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration, conflicts_with = "from")]
    since: Option<Duration>,
    /// Only those before this one: the next page
    #[arg(long, value_name = "ID")]
    before: Option<i64>,
    /// How many
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Show one delivery with each of its attempts
    Show {
        /// Its id, as the list has it
        id: i64,
    },
    /// Send once more: one, all of an endpoint that are dead, or all of a time
    Replay {
        /// The id of the one
        #[arg(conflicts_with_all = ["endpoint", "dead", "from", "to"], required_unless_present = "endpoint")]
        id: Option<i64>,
        /// The webhook whose deliveries are meant
        #[arg(long, value_name = "NAME", value_parser = EndpointName::parse)]
        endpoint: Option<EndpointName>,
        /// All that were given up
        #[arg(long, requires = "endpoint", conflicts_with_all = ["from", "to"])]
        dead: bool,
        /// All of events that were committed at or after this time
        #[arg(long, value_name = "TIME", requires_all = ["endpoint", "to"])]
        from: Option<Timestamp>,
        /// All of events that were committed before this time
        #[arg(long, value_name = "TIME", requires_all = ["endpoint", "from"])]
        to: Option<Timestamp>,
    },
}

fn state(text: &str) -> Result<DeliveryState, String> {
    let names = DeliveryState::ALL.map(DeliveryState::as_str).join(", ");
    DeliveryState::parse(text).ok_or_else(|| format!("must be one of {names}"))
}

/// Does what was asked.
///
/// # Errors
/// Where no daemon runs, or it says no.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let daemon = Daemon::of(&args.reach)?;
    match args.what {
        None => list(&daemon, &args.filter, args.reach.json).await?,
        Some(What::Show { id }) => show(&daemon, id, args.reach.json).await?,
        Some(What::Replay { id, endpoint, dead, from, to }) => {
            let order = match (id, endpoint, dead, from, to) {
                (Some(id), ..) => json!({ "delivery": id }),
                (None, Some(endpoint), true, ..) => json!({ "endpoint": endpoint, "dead": true }),
                (None, Some(endpoint), false, Some(from), Some(to)) => {
                    json!({ "endpoint": endpoint, "from": from, "to": to })
                }
                _ => bail!("say which of the endpoint's deliveries: --dead, or --from and --to"),
            };
            let answer = daemon.post(&["deliveries", "replay"], Some(order)).await?;
            if args.reach.json {
                show_json(&answer)?;
            } else {
                output::line(format_args!("{} are sent once more", cell(&answer["replayed"])))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(daemon: &Daemon, filter: &Filter, json: bool) -> anyhow::Result<()> {
    let answer = daemon.get(&["deliveries"], &query(filter, Clock::new().now().wall)).await?;
    show_list(&answer, "deliveries", &COLUMNS, json)?;
    if let (Some(next), false) = (answer["next"].as_i64(), json) {
        output::line(format_args!("older ones: --before {next}"))?;
    }
    Ok(())
}

fn query(filter: &Filter, now: Timestamp) -> Vec<(&'static str, String)> {
    let from = filter.since.map(|since| now.saturating_sub(since).unwrap_or(Timestamp::MIN)).or(filter.from);
    let mut query: Vec<(&'static str, String)> = vec![("limit", filter.limit.to_string())];
    let one = |name, value: Option<String>| value.map(|value| (name, value));
    query.extend(one("endpoint", filter.endpoint.as_ref().map(ToString::to_string)));
    query.extend(filter.state.iter().map(|state| ("state", state.as_str().to_owned())));
    query.extend(one("conference", filter.conference.as_ref().map(ToString::to_string)));
    query.extend(one("from", from.map(|time| time.to_string())));
    query.extend(one("to", filter.to.map(|time| time.to_string())));
    query.extend(one("before", filter.before.map(|before| before.to_string())));
    query
}

async fn show(daemon: &Daemon, id: i64, json: bool) -> anyhow::Result<()> {
    let answer = daemon.get(&["deliveries", &id.to_string()], &[]).await?;
    if json { show_json(&answer) } else { output::line(detail(&answer).trim_end()) }
}

/// One delivery for people: what is known of it, its attempts, and the event.
fn detail(answer: &Value) -> String {
    let delivery = answer["delivery"].as_object();
    let mut text = String::new();
    for (name, value) in delivery.into_iter().flatten() {
        text.push_str(&format!("{:<12} {}\n", name.replace('_', " "), for_terminal(&cell(value))));
    }
    let attempts = answer["attempts"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !attempts.is_empty() {
        text.push_str(&format!("\n{}", rendered(attempts, &ATTEMPTS)));
    }
    let event = serde_json::to_string_pretty(&answer["event"]).unwrap_or_default();
    let event: Vec<String> = event.lines().map(for_terminal).collect();
    text.push_str(&format!("\nevent, as it was committed:\n{}\n", event.join("\n")));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::arguments::parsed;

    #[test]
    fn a_list_can_be_narrowed_down() {
        let args = parsed::<Args>("--config f --endpoint ops --state dead --state expired --since 2h --limit 7 --json")
            .unwrap();
        let now: Timestamp = "2026-01-05T10:00:00Z".parse().unwrap();
        let wanted = [
            ("limit", "7"),
            ("endpoint", "ops"),
            ("state", "dead"),
            ("state", "expired"),
            ("from", "2026-01-05T08:00:00Z"),
        ];
        assert_eq!(query(&args.filter, now), wanted.map(|(name, value)| (name, value.to_owned())));
        assert!(args.reach.json && args.what.is_none());
        for bad in ["--state gone", "--since 2h --from 2026-01-05T10:00:00Z", "--limit 0", "--conference x"] {
            assert!(parsed::<Args>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_replay_says_exactly_what() {
        for good in [
            "replay 7 --config f",
            "replay --endpoint ops --dead",
            "replay --endpoint ops --from 2026-01-05T10:00:00Z --to 2026-01-05T11:00:00Z",
            "show 7 --json",
        ] {
            assert!(parsed::<Args>(good).is_ok(), "{good}: {:?}", parsed::<Args>(good));
        }
        for bad in
            ["replay", "replay --dead", "replay 7 --endpoint ops", "replay --endpoint ops --from 2026-01-05T10:00:00Z"]
        {
            assert!(parsed::<Args>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_delivery_is_shown_with_its_attempts_and_nothing_in_it_acts() {
        let text = detail(&json!({
            "delivery": {"id": 7, "state": "dead", "reason": null},
            "attempts": [{"number": 1, "seconds": 0.5, "status": 500, "reason": "server_error", "answer": "\u{1b}[2J"}],
            "event": {"display_name": "\u{202e}x"},
        }));
        assert!(text.contains("state        dead") && text.contains("server_error  \\u{1b}[2J"), "{text}");
        assert!(text.contains("\\u{202e}x") && !text.contains('\u{1b}'), "{text}");
    }
}
