//! `meetwatch events`: the event log.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::conference_choice::ConferenceChoice;
use super::daemon_args::DaemonArgs;
use super::daemon_client::DaemonClient;
use super::event_line::log_line;
use super::output::{self, Signals};
use super::output_args::{OutputArgs, OutputFormat};
use super::table::{Column, csv_line, csv_rows};
use super::time::{self, TimeSpec};
use super::values;
use crate::clock::Clock;
use crate::model::text::for_json;
use crate::model::{Event, EventType, TargetName, nearest};

/// How often `--follow` asks for new events.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The columns of the CSV.
const CSV: [Column; 11] = [
    ("position", "/position"),
    ("time", "/event/time"),
    ("observed_at", "/event/observed_at"),
    ("type", "/event/type"),
    ("conference", "/event/conference/name"),
    ("meeting_code", "/event/conference/meeting_code"),
    ("participant", "/event/participant/name"),
    ("display_name", "/event/participant/display_name"),
    ("email", "/event/participant/email"),
    ("provenance", "/event/provenance"),
    ("taken_back_by", "/taken_back_by"),
];

/// Print the event log, oldest event first
#[derive(Debug, clap::Args)]
#[command(after_help = time::HELP)]
pub(super) struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// Print only events of this conference: conferenceRecords/…, a meeting code, or the link of a meeting
    #[arg(long, value_name = "CONFERENCE", value_parser = ConferenceChoice::parse)]
    conference: Option<ConferenceChoice>,
    /// Print only events of this target, or of all targets of this section of subjects
    #[arg(long, value_name = "NAME", value_parser = TargetName::parse)]
    target: Option<TargetName>,
    /// Print only events of this person: a display name, an e-mail address, users/… or
    /// conferenceRecords/…/participants/…
    #[arg(long, value_name = "PERSON")]
    person: Option<String>,
    /// Print only events of this type, such as participant.joined; can be repeated
    #[arg(long = "type", value_name = "TYPE", value_parser = event_type)]
    types: Vec<EventType>,
    /// Print only events that happened at or after this time
    #[arg(long, value_name = "TIME", visible_alias = "from", value_parser = TimeSpec::parse)]
    since: Option<TimeSpec>,
    /// Print only events that happened before this time
    #[arg(long, value_name = "TIME", visible_alias = "to", value_parser = TimeSpec::parse)]
    until: Option<TimeSpec>,
    /// Print only events after this position in the log
    #[arg(long, value_name = "POSITION", value_parser = values::whole::<u64>)]
    after: Option<u64>,
    /// Print only the last events, at most this many
    #[arg(long, value_name = "NUMBER", value_parser = values::whole_in(0..=1000_u16), conflicts_with = "after")]
    tail: Option<u16>,
    /// Keep printing new events until interrupted; begins at the end of the log unless --after, --tail or --since is given
    #[arg(long, short)]
    follow: bool,
}

fn event_type(text: &str) -> Result<EventType, String> {
    let names = EventType::ALL.map(EventType::as_str);
    EventType::parse(text).ok_or_else(|| {
        let meant = nearest(text, names).map(|name| format!("; did you mean {name}?")).unwrap_or_default();
        format!("must be one of {}{meant}", names.join(", "))
    })
}

impl Args {
    /// Returns the filters as query parameters.
    fn filters(&self, now: Timestamp) -> Vec<(&'static str, String)> {
        let moment = |time: TimeSpec| time.moment(now, &TimeZone::UTC).to_string();
        let mut query = Vec::new();
        query.extend(self.conference.iter().map(|conference| ("conference", conference.as_str().to_owned())));
        query.extend(self.target.iter().map(|target| ("target", target.to_string())));
        query.extend(self.person.iter().map(|person| ("person", person.clone())));
        query.extend(self.types.iter().map(|event| ("type", event.as_str().to_owned())));
        query.extend(self.since.map(|time| ("from", moment(time))));
        query.extend(self.until.map(|time| ("to", moment(time))));
        query
    }

    /// Returns how many events from the end of the log to begin with; `None` to begin where `--after` says.
    fn first(&self) -> Option<u16> {
        let from_the_end = self.follow && self.after.is_none() && self.since.is_none();
        self.tail.or(from_the_end.then_some(0))
    }
}

/// Prints the log.
///
/// # Errors
/// Where no daemon runs, or it stops meanwhile, or the output cannot be written.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let daemon = DaemonClient::new(&args.daemon)?;
    let now = Clock::new().now().wall;
    TimeSpec::check_span(args.since, args.until, now)?;
    let filters = args.filters(now);
    let page = |more: [(&'static str, String); 2]| filters.iter().cloned().chain(more).collect::<Vec<_>>();
    let printer = Printer { format: args.output.format(), colour: output::colour() };
    let (mut after, mut nothing) = (args.after.unwrap_or(0), true);
    printer.begin()?;
    let mut signals = args.follow.then(Signals::listen).transpose()?;
    if let Some(first) = args.first() {
        let query = page([("tail", first.to_string()), ("limit", "1000".to_owned())]);
        let Some(answer) = unless_interrupted(&mut signals, daemon.get(&["events"], &query)).await else {
            return Ok(ExitCode::SUCCESS);
        };
        let answer = answer?;
        let printed = printer.print(&answer)?;
        after = answer["next"].as_u64().context("the daemon's answer has no position")?;
        if !args.follow {
            printer.end(printed == 0);
            return Ok(ExitCode::SUCCESS);
        }
    }
    loop {
        let query = page([("after", after.to_string()), ("limit", "1000".to_owned())]);
        let Some(answer) = unless_interrupted(&mut signals, daemon.get(&["events"], &query)).await else {
            return Ok(ExitCode::SUCCESS);
        };
        let answer = answer?;
        let printed = printer.print(&answer)?;
        let before = after;
        after = answer["next"].as_u64().unwrap_or(after);
        nothing = nothing && printed == 0;
        // A page may be empty although others follow.
        if printed == 0 && after == before {
            if !args.follow {
                printer.end(nothing);
                return Ok(ExitCode::SUCCESS);
            }
            if unless_interrupted(&mut signals, tokio::time::sleep(POLL_INTERVAL)).await.is_none() {
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
}

/// Waits for `work`. Returns `None` if a signal is awaited and comes first.
async fn unless_interrupted<T>(signals: &mut Option<Signals>, work: impl Future<Output = T>) -> Option<T> {
    let Some(signals) = signals else { return Some(work.await) };
    tokio::select! {
        done = work => Some(done),
        () = signals.next() => None,
    }
}

/// How entries of the log are printed.
struct Printer {
    format: OutputFormat,
    colour: bool,
}

impl Printer {
    /// Prints what comes before the first entry.
    fn begin(&self) -> anyhow::Result<()> {
        if self.format == OutputFormat::Csv { output::line(csv_rows(&[], &CSV)) } else { Ok(()) }
    }

    /// Says beside the output that there was none, for somebody who reads it.
    fn end(&self, nothing: bool) {
        if nothing && self.format == OutputFormat::Table {
            output::complain("no event in the log matches");
        }
    }

    /// Prints the entries of a page. Returns how many.
    fn print(&self, page: &Value) -> anyhow::Result<usize> {
        let events = page["events"].as_array().context("the daemon's answer has no events")?;
        for entry in events {
            output::line(self.line(entry, output::width())?)?;
        }
        Ok(events.len())
    }

    /// Returns the line of a log entry: the entry as JSON, with its position, or the event as text.
    fn line(&self, entry: &Value, width: usize) -> anyhow::Result<String> {
        match self.format {
            OutputFormat::Json => return Ok(for_json(&entry.to_string())),
            OutputFormat::Csv => return Ok(csv_line(entry, &CSV)),
            OutputFormat::Table => {}
        }
        let event: Event = serde_json::from_value(entry["event"].clone())
            .context("the daemon's answer has an entry that is not an event")?;
        let position = entry["position"].as_u64().unwrap_or_default();
        let line = log_line(position, &event, width, self.colour);
        Ok(if entry["taken_back_by"].is_null() { line } else { format!("{line}  (retracted later)") })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::arguments::parsed;
    use crate::delivery::format::test_event;

    #[test]
    fn an_event_that_was_retracted_is_marked() {
        let event = test_event("ops", "2026-01-05T10:00:00Z".parse().unwrap());
        let mut entry = json!({"position": 1, "event": event, "taken_back_by": null});
        let text = Printer { format: OutputFormat::Table, colour: false };
        let plain = text.line(&entry, 80).unwrap();
        entry["taken_back_by"] = "evt_a".into();
        assert_eq!(text.line(&entry, 80).unwrap(), format!("{plain}  (retracted later)"));
        assert!(Printer { format: OutputFormat::Json, ..text }.line(&entry, 80).unwrap().starts_with('{'));
        assert!(
            Printer { format: OutputFormat::Csv, ..text }
                .line(&entry, 80)
                .unwrap()
                .starts_with("1,\"2026-01-05T10:00:00Z\"")
        );
        assert!(text.line(&json!({"event": {}}), 80).is_err());
    }

    #[test]
    fn no_name_acts_on_the_terminal_in_json() {
        let entry = json!({"event": {"participant": {"display_name": "\u{9b}2J\u{202e}"}}});
        let line = Printer { format: OutputFormat::Json, colour: false }.line(&entry, 80).unwrap();
        assert!(line.contains(r#""\u009b2J\u202e""#), "{line}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), entry);
    }

    #[test]
    fn following_begins_at_the_end_unless_a_beginning_is_given() {
        let first = |line: &str| parsed::<Args>(line).unwrap().first();
        assert_eq!([first(""), first("--follow"), first("--tail 5 -f")], [None, Some(0), Some(5)]);
        assert_eq!([first("--follow --after 0"), first("--follow --since 1h")], [None, None]);
        assert!(parsed::<Args>("--tail 5 --after 1").is_err());
    }

    #[test]
    fn each_filter_is_a_parameter_and_a_mistyped_type_is_refused_with_the_nearest() {
        let args = parsed::<Args>(
            "--conference ABC-mnop-xyz --target board --person Ada --type participant.left --type watch.gap --since 2h \
             --until now",
        );
        let wanted = [
            ("conference", "abc-mnop-xyz"),
            ("target", "board"),
            ("person", "Ada"),
            ("type", "participant.left"),
            ("type", "watch.gap"),
            ("from", "2026-01-05T08:00:00Z"),
            ("to", "2026-01-05T10:00:00Z"),
        ];
        let filters = args.unwrap().filters("2026-01-05T10:00:00Z".parse().unwrap());
        assert_eq!(filters, wanted.map(|(name, value)| (name, value.to_owned())));
        let refused = parsed::<Args>("--type participant.join").unwrap_err().to_string();
        assert!(refused.contains("did you mean participant.joined?"), "{refused}");
    }
}
