//! `meetwatch report`: who was in a conference, or in all conferences of a day.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::daemon_client::{DaemonArgs, DaemonClient};
use super::output;
use super::table::{Column, cell, counted, render_rows};
use crate::clock::Clock;
use crate::model::text::{for_csv, for_terminal};
use crate::model::{ConferenceName, TargetName};

const TABLE: [Column; 7] = [
    ("name", "/participant/display_name"),
    ("kind", "/participant/kind"),
    ("email", "/participant/email"),
    ("first_join", "/first_join"),
    ("last_leave", "/last_leave"),
    ("seconds", "/seconds_present"),
    ("sessions", "/sessions"),
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
pub(super) struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
    /// The conference: conferenceRecords/…
    #[arg(value_name = "CONFERENCE", value_parser = conference, conflicts_with_all = ["target", "date"])]
    conference: Option<ConferenceName>,
    /// Show only conferences of this target
    #[arg(long, value_name = "NAME", value_parser = target)]
    target: Option<TargetName>,
    /// The day, such as 2026-01-05 [default: today]
    #[arg(long, value_name = "DATE")]
    date: Option<Date>,
    /// The time zone of the day, such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = zone)]
    time_zone: TimeZone,
    /// Print CSV for spreadsheets, one line for each participant; names cannot act as formulas
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

fn conference(text: &str) -> Result<ConferenceName, String> {
    ConferenceName::parse(text).map_err(|_| "must be conferenceRecords/{id}".to_owned())
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
    let answer = if let Some(name) = &args.conference {
        let Some((collection, id)) = name.as_str().split_once('/') else { bail!("must be conferenceRecords/{{id}}") };
        daemon.get(&[collection, id, "attendance"], &[]).await?
    } else {
        daemon.get(&["attendance"], &query(&args, Clock::new().now().wall)?).await?
    };
    if args.daemon.json {
        output::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let conferences = match answer["conferences"].as_array() {
        Some(several) => several.as_slice(),
        None => std::slice::from_ref(&answer),
    };
    let text = if args.csv { csv(conferences) } else { tables(conferences) };
    output::line(text.trim_end_matches('\n'))?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the query for the requested day, from midnight to midnight in its time zone.
fn query(args: &Args, now: Timestamp) -> anyhow::Result<Vec<(&'static str, String)>> {
    let date = args.date.unwrap_or_else(|| now.to_zoned(args.time_zone.clone()).date());
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
fn tables(conferences: &[Value]) -> String {
    if conferences.is_empty() {
        return "no conferences in this time".to_owned();
    }
    let one = |conference: &Value| {
        let at = |key: &str| for_terminal(&cell(&conference[key]));
        let people = conference["participants"].as_array().map(Vec::as_slice).unwrap_or_default();
        format!(
            "{} {} ({})\nfrom {} to {}, {}, at most {} at a time\n{}",
            at("name"),
            at("meeting_code"),
            at("targets"),
            at("start_time"),
            at("end_time"),
            counted(conference["total"].as_u64().unwrap_or_default(), "participant", "participants"),
            at("peak"),
            render_rows(people, &TABLE)
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

/// Returns a cell of the CSV; an unknown value is empty.
fn csv_cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::Number(number)) => number.to_string(),
        Some(value) => for_csv(&cell(value)),
    }
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
        assert_eq!(query_of("--target board").last().unwrap(), &("target", "board".to_owned()));
    }

    #[test]
    fn contradicting_or_malformed_arguments_are_refused() {
        for bad in [
            "spaces/x",
            "conferenceRecords/a --date 2026-01-05",
            "--date yesterday",
            "--csv --json",
            "--time-zone Mars",
        ] {
            assert!(parsed::<Args>(bad).is_err(), "{bad}");
        }
        assert!(parsed::<Args>("conferenceRecords/a --csv").is_ok());
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
        let text = tables(&[conference("\u{1b}[2J")]);
        assert!(text.contains("\\u{1b}[2J") && !text.contains('\u{1b}'), "{text}");
        assert!(
            text.starts_with("conferenceRecords/c abc-mnop-xyz (board, all)\nfrom 2026-01-05T10:00:00Z to -"),
            "{text}"
        );
        assert_eq!(tables(&[]), "no conferences in this time");
    }
}
