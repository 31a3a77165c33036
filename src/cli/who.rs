//! `meetwatch who`: who is in a call now.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};

use super::conference_choice::ConferenceChoice;
use super::daemon_args::DaemonArgs;
use super::daemon_client::DaemonClient;
use super::output;
use super::output_args::{OutputArgs, OutputFormat};
use super::table::{Column, counted};
use crate::model::TargetName;
use crate::model::text::for_terminal;

const COLUMNS: [Column; 7] = [
    ("code", "/meeting_code"),
    ("participant", "/display_name"),
    ("since", "/since"),
    ("known", "/provenance"),
    ("kind", "/kind"),
    ("email", "/email"),
    ("conference", "/conference"),
];

/// Show who is in a call now, since when, and how that is known
///
/// KNOWN says whether the daemon saw the join happen (observed), read of it later (backfilled) or concluded it (inferred).
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    daemon: DaemonArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// The call: a target, a section of subjects, a meeting code, a link or conferenceRecords/…; without it, all calls
    #[arg(value_name = "TARGET|CODE")]
    of: Option<String>,
}

/// Prints the participants.
///
/// # Errors
/// Where no daemon runs, or no target has the name.
pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let queries = queries(args.of.as_deref())?;
    let (answer, is_code) = ask(&DaemonClient::new(&args.daemon)?, &queries).await?;
    if args.output.format() == OutputFormat::Json {
        output::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let conferences = answer["conferences"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows = rows(conferences);
    let (format, number) = (args.output.format(), rows.len() as u64);
    if format == OutputFormat::Csv || number > 0 {
        output::list(&serde_json::json!({ "rows": rows }), "rows", &COLUMNS, format)?;
    }
    if format == OutputFormat::Table {
        let live = conferences.iter().filter(|conference| conference["phase"] == "live").count();
        let word = args.of.as_deref().filter(|word| is_code && live == 0 && !word.contains('-'));
        output::line(word.map_or_else(|| summary(number, live as u64), neither))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The parameters of one request.
type Query = Vec<(&'static str, String)>;

/// Returns the queries for what the user named, in the order in which they are made: the next one if there is no such target.
/// Many names of targets look like a meeting code, such as `operations` or `ops-team-all`.
fn queries(of: Option<&str>) -> anyhow::Result<Vec<Query>> {
    let Some(of) = of else { return Ok(vec![Vec::new()]) };
    let target = TargetName::parse(of).ok().map(|target| vec![("target", target.to_string())]);
    let conference = ConferenceChoice::parse(of).ok();
    let conference = conference.map(|conference| vec![("conference", conference.as_str().to_owned())]);
    let queries: Vec<Query> = target.into_iter().chain(conference).collect();
    if queries.is_empty() {
        bail!("name a target, a meeting code such as abc-mnop-xyz, the link of a meeting or conferenceRecords/…");
    }
    Ok(queries)
}

/// Makes the queries until one is not refused because there is no such target. Returns the answer, and whether an earlier
/// query was refused.
async fn ask(daemon: &DaemonClient, queries: &[Query]) -> anyhow::Result<(Value, bool)> {
    let (last, earlier) = queries.split_last().context("there is nothing to ask")?;
    for query in earlier {
        if let Some(answer) = daemon.find(&["conferences"], query).await? {
            return Ok((answer, false));
        }
    }
    Ok((daemon.get(&["conferences"], last).await?, !earlier.is_empty()))
}

/// Says that a word is neither a target nor the code of a live call.
fn neither(word: &str) -> String {
    format!("no target is named {0}, and no call with {0} as its code is live now", for_terminal(word))
}

/// Returns a row for each participant, with what tells the conference.
fn rows(conferences: &[Value]) -> Vec<Value> {
    let mut rows = Vec::new();
    for conference in conferences {
        for participant in conference["participants"].as_array().into_iter().flatten() {
            let mut row: Map<String, Value> = participant.as_object().cloned().unwrap_or_default();
            row.insert("meeting_code".to_owned(), conference["meeting_code"].clone());
            row.insert("conference".to_owned(), conference["name"].clone());
            rows.push(Value::Object(row));
        }
    }
    rows
}

fn summary(participants: u64, conferences: u64) -> String {
    match (participants, conferences) {
        (_, 0) => "no such call is live now".to_owned(),
        (0, _) => "nobody is in the call now".to_owned(),
        _ => format!(
            "{} in {}",
            counted(participants, "participant", "participants"),
            counted(conferences, "conference", "conferences")
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_call_is_named_by_its_target_or_by_its_code() {
        assert_eq!(queries(None).unwrap(), [[]]);
        assert_eq!(queries(Some("board")).unwrap(), [[("target", "board".to_owned())]]);
        let code = [("conference", "abc-mnop-xyz".to_owned())];
        assert_eq!(queries(Some("https://meet.google.com/ABC-mnop-xyz")).unwrap(), [code]);
        assert!(queries(Some("two words")).is_err());
    }

    #[test]
    fn a_word_that_looks_like_a_code_is_a_target_first() {
        for (word, code) in
            [("operations", "ope-rati-ons"), ("leadership", "lea-ders-hip"), ("ops-team-all", "ops-team-all")]
        {
            let wanted = [[("target", word.to_owned())], [("conference", code.to_owned())]];
            assert_eq!(queries(Some(word)).unwrap(), wanted);
        }
    }

    #[test]
    fn each_participant_has_a_row_with_the_call() {
        let person = json!({"name": "conferenceRecords/c/participants/p", "display_name": "Ada"});
        let rows =
            rows(&[json!({"name": "conferenceRecords/c", "meeting_code": "abc-mnop-xyz", "participants": [person]})]);
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (&rows[0]["conference"], &rows[0]["meeting_code"]),
            (&json!("conferenceRecords/c"), &json!("abc-mnop-xyz"))
        );
        assert_eq!(summary(1, 1), "1 participant in 1 conference");
        assert_eq!([summary(0, 1), summary(0, 0)], ["nobody is in the call now", "no such call is live now"]);
    }
}
