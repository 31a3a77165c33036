//! `meetwatch deliveries`: lists deliveries, shows one with its attempts, and sends deliveries again.

use std::process::ExitCode;

use anyhow::bail;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::conference_choice::ConferenceChoice;
use super::confirm::{self, ConfirmArgs, Unasked};
use super::daemon_args::DaemonArgs;
use super::daemon_client::DaemonClient;
use super::output;
use super::output_args::{OutputArgs, OutputFormat};
use super::progress::Progress;
use super::table::{Column, cell, counted, render_rows};
use super::time::{self, TimeSpec};
use super::values;
use crate::clock::Clock;
use crate::model::EndpointName;
use crate::model::text::for_terminal;
use crate::store::DeliveryState;

const COLUMNS: [Column; 9] = [
    ("id", "/id"),
    ("stored", "/owed_at"),
    ("state", "/state"),
    ("type", "/type"),
    ("endpoint", "/endpoint"),
    ("tries", "/attempts"),
    ("reason", "/reason"),
    ("conference", "/conference"),
    ("sequence", "/sequence"),
];

const ATTEMPTS: [Column; 6] = [
    ("attempt", "/number"),
    ("began_at", "/began_at"),
    ("seconds", "/seconds"),
    ("status", "/status"),
    ("reason", "/reason"),
    ("answer", "/answer"),
];

/// List deliveries, newest first; show one; or send some again
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, after_help = time::HELP)]
pub(super) struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    filter: FilterArgs,
    #[command(subcommand)]
    command: Option<DeliveriesCommand>,
}

/// The deliveries to list.
#[derive(Debug, clap::Args)]
struct FilterArgs {
    /// List only deliveries to this endpoint
    #[arg(long, value_name = "NAME", value_parser = EndpointName::parse)]
    endpoint: Option<EndpointName>,
    /// List only deliveries in this state: pending, leased, done, dead, settled or expired; can be repeated
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Vec<DeliveryState>,
    /// List only deliveries of this conference: conferenceRecords/…, a meeting code, or the link of a meeting
    #[arg(long, value_name = "CONFERENCE", value_parser = ConferenceChoice::parse)]
    conference: Option<ConferenceChoice>,
    /// List only deliveries of events stored at or after this time
    #[arg(long, value_name = "TIME", visible_alias = "from", value_parser = TimeSpec::parse)]
    since: Option<TimeSpec>,
    /// List only deliveries of events stored before this time
    #[arg(long, value_name = "TIME", visible_alias = "to", value_parser = TimeSpec::parse)]
    until: Option<TimeSpec>,
    /// List only deliveries older than the one with this id; for the next page
    #[arg(long, value_name = "ID", value_parser = values::whole::<i64>)]
    before: Option<i64>,
    /// List at most this many
    #[arg(long, value_name = "NUMBER", default_value_t = 50, value_parser = values::whole_in(1..=1000_u16))]
    limit: u16,
}

#[derive(Debug, clap::Subcommand)]
enum DeliveriesCommand {
    /// Show one delivery with each of its attempts
    Show {
        /// The id of the delivery, from the list
        #[arg(value_parser = values::whole::<i64>)]
        id: i64,
    },
    /// Send deliveries again: one, all dead ones of an endpoint, or all of an endpoint in a time span
    Replay {
        /// The id of the delivery
        #[arg(conflicts_with_all = ["endpoint", "dead", "since", "until"], required_unless_present = "endpoint")]
        #[arg(value_parser = values::whole::<i64>)]
        id: Option<i64>,
        /// The endpoint whose deliveries to send again
        #[arg(long, value_name = "NAME", value_parser = EndpointName::parse)]
        endpoint: Option<EndpointName>,
        /// Send all dead deliveries, which were given up
        #[arg(long, requires = "endpoint", conflicts_with_all = ["since", "until"])]
        dead: bool,
        /// Send all deliveries of events stored at or after this time
        #[arg(long, value_name = "TIME", visible_alias = "from", value_parser = TimeSpec::parse)]
        #[arg(requires_all = ["endpoint", "until"])]
        since: Option<TimeSpec>,
        /// Send all deliveries of events stored before this time
        #[arg(long, value_name = "TIME", visible_alias = "to", value_parser = TimeSpec::parse)]
        #[arg(requires_all = ["endpoint", "since"])]
        until: Option<TimeSpec>,
        #[command(flatten)]
        confirm: ConfirmArgs,
    },
}

fn state(text: &str) -> Result<DeliveryState, String> {
    let names = DeliveryState::ALL.map(DeliveryState::as_str).join(", ");
    DeliveryState::parse(text).ok_or_else(|| format!("must be one of {names}"))
}

/// Runs the command.
///
/// # Errors
/// Where no daemon runs, or it refuses the request.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let daemon = DaemonClient::new(&args.daemon)?;
    match args.command {
        None => list(&daemon, &args.filter, args.output.format()).await?,
        Some(DeliveriesCommand::Show { id }) => show(&daemon, id, args.output.json()?).await?,
        Some(DeliveriesCommand::Replay { id, endpoint, dead, since, until, confirm }) => {
            let json = args.output.json()?;
            let now = Clock::new().now().wall;
            TimeSpec::check_span(since, until, now)?;
            let moment = |time: Option<TimeSpec>| time.map(|time| time.moment(now, &TimeZone::UTC));
            let request = match (id, endpoint, dead, moment(since), moment(until)) {
                (Some(id), ..) => json!({ "delivery": id }),
                (None, Some(endpoint), true, ..) => json!({ "endpoint": endpoint, "dead": true }),
                (None, Some(endpoint), false, Some(from), Some(to)) => {
                    json!({ "endpoint": endpoint, "from": from, "to": to })
                }
                _ => bail!("say which deliveries of the endpoint: --dead, or --since and --until"),
            };
            // One delivery is named by its id, so there is nothing to ask.
            if confirm.dry_run || id.is_none() && confirm.needs_words(Unasked::GoOn) {
                let what = confirm::of_a_replay(&daemon, &request).await?;
                if let Some(code) = confirm.ends_here(&what, Unasked::GoOn)? {
                    return Ok(code);
                }
            }
            let progress = Progress::waiting("sending deliveries again");
            let answer = daemon.post(&["deliveries", "replay"], Some(request)).await?;
            drop(progress);
            if json {
                output::json(&answer)?;
            } else {
                let replayed = answer["replayed"].as_u64().unwrap_or_default();
                output::line(counted(replayed, "delivery is sent again", "deliveries are sent again"))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(daemon: &DaemonClient, filter: &FilterArgs, format: OutputFormat) -> anyhow::Result<()> {
    let now = Clock::new().now().wall;
    TimeSpec::check_span(filter.since, filter.until, now)?;
    let answer = daemon.get(&["deliveries"], &query(filter, now)).await?;
    output::list(&answer, "deliveries", &COLUMNS, format)?;
    if let (Some(next), OutputFormat::Table) = (answer["next"].as_i64(), format) {
        output::line(format_args!("next page: --before {next}"))?;
    }
    Ok(())
}

fn query(filter: &FilterArgs, now: Timestamp) -> Vec<(&'static str, String)> {
    let moment = |time: Option<TimeSpec>| time.map(|time| time.moment(now, &TimeZone::UTC).to_string());
    let mut query: Vec<(&'static str, String)> = vec![("limit", filter.limit.to_string())];
    let one = |name, value: Option<String>| value.map(|value| (name, value));
    query.extend(one("endpoint", filter.endpoint.as_ref().map(ToString::to_string)));
    query.extend(filter.state.iter().map(|state| ("state", state.as_str().to_owned())));
    query.extend(one("conference", filter.conference.as_ref().map(|conference| conference.as_str().to_owned())));
    query.extend(one("from", moment(filter.since)));
    query.extend(one("to", moment(filter.until)));
    query.extend(one("before", filter.before.map(|before| before.to_string())));
    query
}

async fn show(daemon: &DaemonClient, id: i64, json: bool) -> anyhow::Result<()> {
    let answer = daemon.get(&["deliveries", &id.to_string()], &[]).await?;
    if json { output::json(&answer) } else { output::line(detail(&answer, output::width()).trim_end()) }
}

/// Returns one delivery as text: its fields, its attempts and its event.
fn detail(answer: &Value, width: usize) -> String {
    let delivery = answer["delivery"].as_object();
    let mut text = String::new();
    for (name, value) in delivery.into_iter().flatten() {
        text.push_str(&format!("{:<12} {}\n", name.replace('_', " "), for_terminal(&cell(value))));
    }
    let attempts = answer["attempts"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !attempts.is_empty() {
        text.push_str(&format!("\n{}", render_rows(attempts, &ATTEMPTS, width)));
    }
    let event = serde_json::to_string_pretty(&answer["event"]).unwrap_or_default();
    let event: Vec<String> = event.lines().map(for_terminal).collect();
    text.push_str(&format!("\nevent, as it was stored:\n{}\n", event.join("\n")));
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
        assert!(args.output.format() == OutputFormat::Json && args.command.is_none());
        for bad in
            ["--state gone", "--since 2h --from 2026-01-05T10:00:00Z", "--since soon", "--limit 0", "--conference x"]
        {
            assert!(parsed::<Args>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_replay_needs_an_unambiguous_selection() {
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
    fn a_delivery_is_shown_with_its_attempts_and_control_characters_are_escaped() {
        let answer = json!({
            "delivery": {"id": 7, "state": "dead", "reason": null},
            "attempts": [{"number": 1, "seconds": 0.5, "status": 500, "reason": "server_error", "answer": "\u{1b}[2J"}],
            "event": {"display_name": "\u{202e}x"},
        });
        let text = detail(&answer, 80);
        assert!(text.contains("state        dead") && text.contains("server_error  \\u{1b}[2J"), "{text}");
        assert!(text.contains("\\u{202e}x") && !text.contains('\u{1b}'), "{text}");
    }
}
