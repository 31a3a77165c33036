//! How much memory does a participant take? 10 000 conferences of ten people, polled for some minutes.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::figures::{line, number, title};
use crate::google;
use crate::watching::{BEGINNING, Watching};

const CONFERENCES: usize = 10_000;
const PEOPLE: usize = 10;

pub(crate) fn measure() -> Result<()> {
    title(&format!("Memory: {CONFERENCES} conferences of {PEOPLE} people in the real schedule"));
    // The world is created before, so that it does not count.
    let (world, _) = google::world(1, BEGINNING, CONFERENCES, PEOPLE)?;
    let before = resident()?;
    let mut watching = Watching::new(world)?;
    watching.go_on(Duration::from_secs(180))?;
    let after = resident()?;
    let present: u32 = watching
        .scheduler
        .conferences()
        .values()
        .filter_map(|watched| watched.roster())
        .map(meetwatch::watch::Roster::present)
        .sum();
    ensure!(usize::try_from(present)? == CONFERENCES * PEOPLE, "{present} are present");

    let grown = number(after.saturating_sub(before) / 1024);
    line("resident memory that the schedule added", &format!("{:.1} MB", grown / 1024.0));
    line(
        "for each participant, their conference included",
        &format!("{:.0} bytes", grown * 1024.0 / f64::from(present)),
    );
    Ok(())
}

/// Returns the resident memory of this process, in bytes.
fn resident() -> Result<usize> {
    let statm = std::fs::read_to_string("/proc/self/statm").context("this needs Linux")?;
    let pages: usize = statm.split(' ').nth(1).context("no resident size")?.parse()?;
    Ok(pages * rustix::param::page_size())
}
