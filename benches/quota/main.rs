//! How late joins and leaves are reported under a quota, in virtual time, beside a naive poller and the least that the quota
//! allows: `cargo bench --bench quota`. With `-- --svg FILE` it also draws the curve; a list of numbers such as `-- 31,120`
//! measures only those meetings.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

mod picture;

use anyhow::{Context, Result};
use meetwatch::model::EventType;
use meetwatch::verify::lateness::{self, LatenessOptions, LatenessReport};
use picture::Point;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let svg = arguments.iter().position(|argument| argument == "--svg").and_then(|at| arguments.get(at + 1));
    let list = arguments.iter().find(|argument| argument.starts_with(|c: char| c.is_ascii_digit()));
    let list = list.map_or("1,9,31,60,90,120,150,200,300,600,1000", String::as_str);
    println!("one user, 480 reads a minute, ten people a meeting; delays of joins and leaves in seconds");
    println!("meetings    mean     p50     p95     p99     max   naive   bound  ratio  reads a minute");
    let mut points = Vec::new();
    for meetings in list.split(',') {
        let meetings = meetings.parse().with_context(|| format!("{meetings:?} is no number of meetings"))?;
        let report = lateness::run(LatenessOptions::of_one_user(meetings))?;
        print(&report);
        points.push(Point {
            meetings: meetings as f64,
            mean: report.of_people().mean(),
            naive: report.naive(),
            bound: report.bound(),
        });
    }
    let project = lateness::run(LatenessOptions::of_a_project(5_000, 500))?;
    let started = project.of_event(EventType::ConferenceStarted);
    println!(
        "5 000 organizers, 4 800 reads a minute, 500 meetings within a minute: found {} of {}, p50 {:.0} s, p99 {:.0} s, at most {} requests in a minute",
        started.told(),
        started.happened,
        started.quantile(0.5),
        started.quantile(0.99),
        project.most_in_a_minute,
    );
    if let Some(file) = svg {
        std::fs::write(file, picture::svg(&points)).with_context(|| format!("cannot write {file}"))?;
    }
    Ok(())
}

fn print(report: &LatenessReport) {
    let people = report.of_people();
    let (mean, bound) = (people.mean(), report.bound());
    let minutes = report.options.measured.as_secs_f64() / 60.0;
    let reads: Vec<String> =
        report.reads.iter().map(|(class, count)| format!("{class} {:.0}", *count as f64 / minutes)).collect();
    println!(
        "{:8} {mean:7.1} {:7.1} {:7.1} {:7.1} {:7.1} {:7.1} {bound:7.1} {:6.2}  {}; most {}; told {} of {}; gaps {}, corrections {}",
        report.options.meetings,
        people.quantile(0.5),
        people.quantile(0.95),
        people.quantile(0.99),
        people.quantile(1.0),
        report.naive(),
        mean / bound,
        reads.join(", "),
        report.most_in_a_minute,
        people.told(),
        people.happened,
        report.gaps,
        report.corrections,
    );
}
