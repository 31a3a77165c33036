//! How late joins and leaves are reported under a quota, in virtual time: `cargo bench --bench quota [-- MEETINGS,…]`.

use anyhow::{Context, Result};
use meetwatch::model::EventType;
use meetwatch::verify::lateness::{self, LatenessOptions, LatenessReport};

fn main() -> Result<()> {
    let list = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let list = list.unwrap_or_else(|| "1,9,31,60,90,120,150,200,300,600,1000".to_owned());
    println!("one user, 480 reads a minute, ten people a meeting; delays of joins and leaves in seconds");
    println!("meetings    mean     p50     p95     p99     max   naive   bound  ratio  reads a minute");
    for meetings in list.split(',') {
        let meetings = meetings.parse().with_context(|| format!("{meetings:?} is no number of meetings"))?;
        print(&lateness::run(LatenessOptions::of_one_user(meetings))?);
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
