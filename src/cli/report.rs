//! `meetwatch report`: who was in a conference, or in all conferences of a day.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::conference_choice::ConferenceChoice;
use super::daemon_args::DaemonArgs;
use super::daemon_client::DaemonClient;
use super::output;
use super::output_args::{OutputArgs, OutputFormat};
use super::table::{Column, cell, counted, csv_cell, date_and_time, render_rows};
use super::time::{self, TimeSpec};
use crate::clock::Clock;
use crate::model::TargetName;
use crate::model::text::for_terminal;

const TABLE: [Column; 7] = [
    ("name", "/participant/display_name"),
    ("first_join", "/first_join"),
    ("last_leave", "/last_leave"),
    ("seconds", "/seconds_present"),
    ("sessions", "/sessions"),
    ("kind", "/participant/kind"),
    ("email", "/participant/email"),
];

/// The columns of the CSV that describe the conference.
const CONFERENCE_CSV: [Column; 5] = [
    ("conference", "/name"),
    ("meeting_code", "/meeting_code"),
    ("targets", "/targets"),
    ("start_time", "/start_time"),
    ("end_time", "/end_time"),
];

/// The columns of the CSV that describe the participant.
const PARTICIPANT_CSV: [Column; 10] = [
    ("participant", "/participant/name"),
    ("kind", "/participant/kind"),
    ("display_name", "/participant/display_name"),
    ("user", "/participant/user"),
    ("email", "/participant/email"),
    ("affiliation", "/participant/affiliation"),
    ("first_join", "/first_join"),
    ("last_leave", "/last_leave"),
    ("seconds_present", "/seconds_present"),
    ("sessions", "/sessions"),
];

/// Show who was in a conference, or in all conferences of a day
#[derive(Debug, clap::Args)]
#[command(after_help = time::HELP)]
pub(super) struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// The conference: conferenceRecords/…; or a meeting code or link, for that meeting's conferences of the day
    #[arg(value_name = "CONFERENCE", value_parser = ConferenceChoice::parse, conflicts_with = "target")]
    conference: Option<ConferenceChoice>,
    /// Show only conferences of this target, or of all targets of this section of subjects
    #[arg(long, value_name = "NAME", value_parser = target)]
    target: Option<TargetName>,
    /// The day, such as 2026-01-05, today or yesterday [default: today]
    #[arg(long, value_name = "TIME", value_parser = TimeSpec::parse)]
    date: Option<TimeSpec>,
    /// The time zone of the day, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = zone)]
    time_zone: TimeZone,
    /// The same as `--output csv`: one line for each participant
    #[arg(long, conflicts_with_all = ["json", "output"])]
    csv: bool,
}

fn target(text: &str) -> Result<TargetName, String> {
    TargetName::parse(text).map_err(|_| "must be the name of a target".to_owned())
}

fn zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|_| "must be the name of a time zone such as Europe/Berlin or UTC".to_owned())
}

/// Prints the attendance.
///
/// # Errors
/// Where no daemon runs, or it does not know the conference.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let daemon = DaemonClient::new(&args.daemon)?;
    let mut answer = if let Some(ConferenceChoice::Name(name)) = &args.conference {
        if args.date.is_some() {
            bail!("a single conference has no --date; leave it out, or name a meeting code");
        }
        daemon.get(&name.as_str().split('/').chain(["attendance"]).collect::<Vec<_>>(), &[]).await?
    } else {
        daemon.get(&["attendance"], &query(&args, Clock::new().now().wall)?).await?
    };
    if let (Some(ConferenceChoice::Code(code)), Some(list)) = (&args.conference, answer["conferences"].as_array_mut()) {
        list.retain(|conference| conference["meeting_code"] == code.as_str());
    }
    let format = if args.csv { OutputFormat::Csv } else { args.output.format() };
    if format == OutputFormat::Json {
        output::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let conferences = match answer["conferences"].as_array() {
        Some(several) => several.as_slice(),
        None => std::slice::from_ref(&answer),
    };
    let text = if format == OutputFormat::Csv { csv(conferences) } else { tables(conferences, output::width()) };
    output::line(text.trim_end_matches('\n'))?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the query for the requested day, from midnight to midnight in its time zone.
fn query(args: &Args, now: Timestamp) -> anyhow::Result<Vec<(&'static str, String)>> {
    let date = args.date.unwrap_or(TimeSpec::Now).day(now, &args.time_zone);
    let midnight = |date: Date| {
        let zoned = date.to_zoned(args.time_zone.clone()).context("this day does not exist in this time zone")?;
        anyhow::Ok(zoned.timestamp().to_string())
    };
    let next = date.tomorrow().context("the day is out of range")?;
    let mut query = vec![("from", midnight(date)?), ("to", midnight(next)?)];
    query.extend(args.target.iter().map(|target| ("target", target.to_string())));
    Ok(query)
}

/// Returns the report as text: a table for each conference.
fn tables(conferences: &[Value], width: usize) -> String {
    if conferences.is_empty() {
        return "no conferences in this time".to_owned();
    }
    let one = |conference: &Value| {
        let at = |key: &str| for_terminal(&cell(&conference[key]));
        let time = |key: &str| {
            let time = conference[key].as_str().and_then(|time| time.parse().ok());
            time.map_or_else(|| at(key), date_and_time)
        };
        let people = conference["participants"].as_array().map(Vec::as_slice).unwrap_or_default();
        format!(
            "{} {} ({})\nfrom {} to {}, {}, at most {} at a time\n{}",
            at("name"),
            at("meeting_code"),
            at("targets"),
            time("start_time"),
            time("end_time"),
            counted(conference["total"].as_u64().unwrap_or_default(), "participant", "participants"),
            at("peak"),
            render_rows(people, &TABLE, width)
        )
    };
    conferences.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// Returns the report as CSV (RFC 4180).
fn csv(conferences: &[Value]) -> String {
    let titles = CONFERENCE_CSV.iter().chain(&PARTICIPANT_CSV).map(|(title, _)| (*title).to_owned());
    let mut lines = vec![titles.collect::<Vec<_>>().join(",")];
    for conference in conferences {
        for participant in conference["participants"].as_array().into_iter().flatten() {
            let of = |value: &Value, columns: &[Column]| -> Vec<String> {
                columns.iter().map(|(_, at)| csv_cell(value.pointer(at))).collect()
            };
            lines.push([of(conference, &CONFERENCE_CSV), of(participant, &PARTICIPANT_CSV)].concat().join(","));
        }
    }
    lines.join("\r\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::arguments::parsed;

    fn query_of(line: &str) -> Vec<(&'static str, String)> {
        query(&parsed(line).unwrap(), "2026-03-29T22:30:00Z".parse().unwrap()).unwrap()
    }

    #[test]
    fn a_day_is_from_midnight_to_midnight_of_its_time_zone() {
        let wanted = |from: &str, to: &str| vec![("from", from.to_owned()), ("to", to.to_owned())];
        assert_eq!(query_of(""), wanted("2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z"));
        assert_eq!(query_of("--time-zone Europe/Berlin"), wanted("2026-03-29T22:00:00Z", "2026-03-30T22:00:00Z"));
        // The clocks go forward on this day.
        assert_eq!(
            query_of("--time-zone Europe/Berlin --date 2026-03-29"),
            wanted("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")
        );
        assert_eq!(query_of("--date today"), query_of(""));
        assert_eq!(query_of("--date yesterday"), wanted("2026-03-28T00:00:00Z", "2026-03-29T00:00:00Z"));
        assert_eq!(query_of("--target board").last().unwrap(), &("target", "board".to_owned()));
    }

    #[test]
    fn contradicting_or_malformed_arguments_are_refused() {
        for bad in [
            "spaces/x",
            "abc-mnop-xyz --target board",
            "--date tomorrow",
            "--csv --output table",
            "--csv --json",
            "--time-zone Mars",
        ] {
            assert!(parsed::<Args>(bad).is_err(), "{bad}");
        }
        for good in ["conferenceRecords/a --csv", "https://meet.google.com/abc-mnop-xyz --date yesterday -o json"] {
            assert!(parsed::<Args>(good).is_ok(), "{good}");
        }
    }

    fn conference(name: &str) -> Value {
        json!({
            "name": "conferenceRecords/c", "meeting_code": "abc-mnop-xyz", "targets": ["board", "all"],
            "start_time": "2026-01-05T10:00:00Z", "end_time": null, "total": 1, "peak": 1,
            "participants": [{
                "participant": {"name": "conferenceRecords/c/participants/p", "kind": "anonymous", "display_name": name,
                                "user": null, "email": null, "affiliation": null},
                "first_join": "2026-01-05T10:00:02Z", "last_leave": null, "seconds_present": 61.5, "sessions": 2,
            }],
        })
    }

    #[test]
    fn a_name_is_no_formula_in_a_csv_and_breaks_no_line() {
        let lines = csv(&[conference("=HYPERLINK(\"http://x\",\"y\"),\r\n1")]);
        let wanted = "\"conferenceRecords/c\",\"abc-mnop-xyz\",\"board, all\",\"2026-01-05T10:00:00Z\",,\
                      \"conferenceRecords/c/participants/p\",\"anonymous\",\
                      \"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\"),  1\",,,,\"2026-01-05T10:00:02Z\",,61.5,2";
        let (head, rest) = lines.split_once("\r\n").unwrap();
        assert_eq!((head.split(',').count(), rest), (15, wanted));
    }

    #[test]
    fn control_characters_of_a_name_are_escaped_in_a_table() {
        let text = tables(&[conference("\u{1b}[2J")], 80);
        assert!(text.contains("\\u{1b}[2J") && !text.contains('\u{1b}'), "{text}");
        assert!(
            text.starts_with("conferenceRecords/c abc-mnop-xyz (board, all)\nfrom 2026-01-05 10:00:00Z to -"),
            "{text}"
        );
        assert_eq!(tables(&[], 80), "no conferences in this time");
    }
}
