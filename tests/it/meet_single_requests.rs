//! `meetwatch api`: single requests to Google, printed as a table and as JSON.

use clap::Parser;
use meetwatch::cli::api;
use serde_json::Value;

use crate::meet_fake::{Bench, CONFERENCE, error, json, me};

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: api::Args,
}

async fn printed(bench: &Bench, line: &str) -> anyhow::Result<String> {
    let args = Line::try_parse_from(std::iter::once("api").chain(line.split(' ')))?.args;
    let mut out = Vec::new();
    api::run(args, &bench.client, &[me()], &mut out).await?;
    Ok(String::from_utf8(out)?)
}

const PEOPLE: &str = r#"{"participants":[
    {"name":"conferenceRecords/c/participants/1","earliestStartTime":"2026-01-05T10:00:00Z",
     "signedinUser":{"user":"users/7","displayName":"Ada"}},
    {"name":"conferenceRecords/c/participants/2","earliestStartTime":"2026-01-05T10:01:00Z",
     "latestEndTime":"2026-01-05T10:02:00Z","anonymousUser":{"displayName":"\u001b[2JEve"}}],"nextPageToken":"next"}"#;

#[tokio::test]
async fn a_list_is_a_table_and_a_hostile_name_is_escaped() {
    let bench = Bench::new().await;
    bench.fake.will([json(200, PEOPLE), json(200, "{}")]);
    let text = printed(&bench, "participants conferenceRecords/c --active").await.unwrap();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.contains("signed_in  Ada") && text.contains("\\u{1b}[2JEve") && !text.contains('\u{1b}'), "{text}");
    assert!(bench.fake.asked()[0].path.contains("latest_end_time+IS+NULL"));
    assert_eq!(bench.fake.asked().len(), 2, "all pages");
}

#[tokio::test]
async fn one_page_comes_with_the_token_of_the_next() {
    let bench = Bench::new().await;
    bench.fake.will([json(200, PEOPLE)]);
    let line = "participants conferenceRecords/c --page-size 2 --page-token here --json";
    let page: Value = serde_json::from_str(&printed(&bench, line).await.unwrap()).unwrap();
    assert_eq!((&page["next_page_token"], page["items"].as_array().unwrap().len()), (&Value::from("next"), 2));
    assert!(bench.fake.asked()[0].path.ends_with("?pageSize=2&pageToken=here"));
}

#[tokio::test]
async fn a_single_resource_is_an_object() {
    let bench = Bench::new().await;
    bench.fake.will([json(200, CONFERENCE), json(200, r#"{"names":[{"displayName":"Ada"}]}"#)]);
    let text = printed(&bench, "get conferenceRecords/c --json").await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["space"], "spaces/s");
    let text = printed(&bench, "person 7 --json").await.unwrap();
    let person: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&person["user"], &person["display_name"]), (&Value::from("users/7"), &Value::from("Ada")));
}

#[tokio::test]
async fn an_error_contains_its_remedy() {
    let bench = Bench::new().await;
    bench.fake.will([error(403, "PERMISSION_DENIED", "SERVICE_DISABLED")]);
    let error = printed(&bench, "conferences").await.unwrap_err().to_string();
    assert!(error.contains("api_disabled") && error.contains("enable the Google Meet API"), "{error}");
}
