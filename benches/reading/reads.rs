//! How many requests does a conference cost, quiet and busy? Beside it, a poller that is as exact: at every poll it reads
//! the record, lists everybody, and lists the sessions of each.

use std::time::Duration;

use anyhow::{Result, ensure};
use meetwatch::sim::world::{World, WorldSettings};

use crate::figures::{line, number, title};
use crate::google::{self, PAGE, pages};
use crate::watching::{BEGINNING, Watching};

const HOUR: Duration = Duration::from_secs(3600);
/// Long enough for everybody's first reads.
const SETTLED: Duration = Duration::from_secs(300);
/// The interval of both pollers.
const POLL: Duration = Duration::from_secs(10);

pub(crate) fn measure() -> Result<()> {
    title("Requests for each conference-hour, discovery apart");
    for people in [1, 3, 10, 12, 13, 40, 250, 600] {
        quiet(people)?;
    }
    busy()
}

/// Measures one conference in which nothing changes.
fn quiet(people: usize) -> Result<()> {
    let (world, _) = google::world(2, BEGINNING, 1, people)?;
    let mut watching = Watching::new(world)?;
    watching.go_on(SETTLED)?;
    let before = watching.requests.of_conferences();
    watching.go_on(HOUR)?;
    let spent = watching.requests.of_conferences() - before;
    let planned = 60 * (6 * pages(people, PAGE) + people.min(12) + 1 + 2);
    let plain = every_poll(&watching.world) * 360;
    let ratio = number(plain) / number(spent);
    line(
        &format!("quiet, {people} people"),
        &format!("{spent:>6} (at most {planned} planned); the plain poller {plain:>7}, {ratio:.1} times as many"),
    );
    ensure!(spent <= planned, "a quiet conference of {people} costs {spent}, not {planned}");
    Ok(())
}

/// Measures meetings made from a seed, one after the other: people come, change devices, drop out and return.
fn busy() -> Result<()> {
    let settings = WorldSettings { conferences: 20, people: 12, ..WorldSettings::starting(BEGINNING, 3) };
    let mut watching = Watching::new(World::new(settings))?;
    let mut plain = 0;
    for _ in 0..4 * 360 {
        watching.go_on(POLL)?;
        let now = watching.google();
        watching.world.step(now);
        plain += every_poll(&watching.world);
    }
    let now = watching.google();
    watching.world.end_all(now);
    // The complete reads after the end count too.
    watching.go_on(HOUR)?;
    let hours = google::conference_hours(&watching.world, now);
    let spent = watching.requests;
    let each = |count: usize| number(count) / hours;
    line(
        &format!("busy, {:.1} people each, {hours:.0} hours of them", google::people_each(&watching.world)),
        &format!(
            "{:>6.0}; the plain poller {:>7.0}, {:.1} times as many",
            each(spent.of_conferences()),
            each(plain),
            each(plain) / each(spent.of_conferences())
        ),
    );
    for (what, count) in [
        ("listings", spent.listings),
        ("sessions", spent.sessions),
        ("those who left", spent.backfills),
        ("records", spent.records),
        ("opening and closing", spent.others),
        ("discovery, for all of them", spent.discovery),
    ] {
        line(&format!("  {what}"), &format!("{:>6.0}", each(count)));
    }
    Ok(())
}

/// Returns how many requests one poll of the plain poller takes.
fn every_poll(world: &World) -> usize {
    let live = world.spaces().filter_map(|(key, _)| world.live_in(key));
    live.map(|conference| 1 + pages(conference.participants().len(), PAGE) + conference.participants().len()).sum()
}
