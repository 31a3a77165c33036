//! How fast is verification? Measures the hours of conferences in a second of one core: for whole histories with the real
//! store, for the schedule without a store, and for the roster alone.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use jiff::Timestamp;
use meetwatch::clock::{Now, elapsed, saturating_add};
use meetwatch::meet::{ParticipantFilter, SessionFilter};
use meetwatch::model::{ConferenceName, IdentityName, ParticipantName};
use meetwatch::sim::world::{SimConference, World, WorldSettings};
use meetwatch::verify::history::{self, HistoryOptions};
use meetwatch::watch::Roster;
use meetwatch::watch::roster::{Directory, Moment, Observation, RosterRules, Seen};

use crate::figures::{cpu_of, line, title};
use crate::google;
use crate::watching::{BEGINNING, Watching};

const SEEDS: u64 = 30;
const LENGTH: Duration = Duration::from_secs(3600);
const POLL: Duration = Duration::from_secs(10);

pub(crate) fn measure() -> Result<()> {
    title("Verification: hours of conferences in a second of one core");
    for (what, faults, crashes) in
        [("whole histories, real store", false, false), ("the same with every fault and crashes", true, true)]
    {
        let mut hours = 0.0;
        let (time, played) = cpu_of(|| -> Result<()> {
            for seed in 0..SEEDS {
                let played = history::run(HistoryOptions {
                    seed,
                    length: LENGTH,
                    faults,
                    crashes,
                    ..HistoryOptions::default()
                })?;
                ensure!(played.disagreements.is_empty(), "seed {seed} disagrees");
                hours += played.conferred.as_secs_f64() / 3600.0;
            }
            Ok(())
        });
        played?;
        show(what, hours, time);
    }
    let mut hours = 0.0;
    let (time, watched) = cpu_of(|| -> Result<()> {
        for seed in 0..SEEDS {
            let mut watching = Watching::new(world(seed))?;
            watching.go_on(4 * LENGTH)?;
            hours += google::conference_hours(&watching.world, watching.google());
        }
        Ok(())
    });
    watched?;
    show("schedule and roster without a store", hours, time);

    let mut hours = 0.0;
    let (time, alone) = cpu_of(|| -> Result<()> {
        for seed in 0..SEEDS {
            hours += Alone::new(world(seed))?.play(4 * LENGTH)?;
        }
        Ok(())
    });
    alone?;
    show("the roster alone", hours, time);
    Ok(())
}

/// Creates a world like those of whole histories.
fn world(seed: u64) -> World {
    World::new(WorldSettings { conferences: 3, people: 8, ..WorldSettings::starting(BEGINNING, seed) })
}

fn show(what: &str, hours: f64, time: Duration) {
    let seconds = time.as_secs_f64();
    line(what, &format!("{:>7.0} ({hours:.0} hours in {seconds:.2} s)", hours / seconds));
}

/// The rosters of a world without a schedule: a listing every ten seconds, the rechecks that are due, and everything at the
/// end.
struct Alone {
    world: World,
    rosters: BTreeMap<ConferenceName, Roster>,
    by: IdentityName,
    directory: Directory,
    rules: RosterRules,
}

impl Alone {
    fn new(world: World) -> Result<Self> {
        let seconds = Duration::from_secs;
        Ok(Self {
            world,
            rosters: BTreeMap::new(),
            by: IdentityName::parse("organizer")?,
            directory: Directory::default(),
            rules: RosterRules::new(seconds(10), seconds(60), seconds(600)),
        })
    }

    /// Plays the world. Returns the hours of conferences.
    fn play(mut self, length: Duration) -> Result<f64> {
        let mut time = Duration::ZERO;
        while time < length {
            time += POLL;
            let now = saturating_add(BEGINNING, time);
            self.world.step(now);
            for (key, _) in self.world.spaces() {
                if let Some(live) = self.world.live_in(key) {
                    let begun = || Roster::new(live.name.clone(), None, None, live.start);
                    let known = self.rosters.remove(&live.name);
                    let roster = known.unwrap_or_else(|| self.observe(&begun(), self.record(live), now));
                    let roster = self.poll(live, roster, now);
                    self.rosters.insert(live.name.clone(), roster);
                }
            }
            self.close(now)?;
        }
        Ok(google::conference_hours(&self.world, self.world.now()))
    }

    fn poll(&self, conference: &SimConference, mut roster: Roster, now: Timestamp) -> Roster {
        let participants = google::participants(&self.world, conference, ParticipantFilter::Active);
        roster = self.observe(&roster, Seen::Active { participants, reason: "late" }, now);
        let mono = elapsed(BEGINNING, now);
        let due: Vec<ParticipantName> =
            roster.rechecks().iter().filter(|(_, recheck)| recheck.due <= mono).map(|(name, _)| name.clone()).collect();
        due.iter().fold(roster, |roster, name| self.sessions(conference, roster, name, now))
    }

    /// Reads everything of the conferences that are over, and forgets them.
    fn close(&mut self, now: Timestamp) -> Result<()> {
        let live: Vec<_> =
            self.world.spaces().filter_map(|(key, _)| self.world.live_in(key)).map(|live| live.name.clone()).collect();
        let over: Vec<_> = self.rosters.keys().filter(|name| !live.contains(name)).cloned().collect();
        for name in over {
            let id = name.as_str().rsplit('/').next().unwrap_or_default();
            let Some((roster, key)) = self.rosters.remove(&name).zip(self.world.conference_by_id(id)) else { continue };
            let conference = self.world.conference(key);
            let mut roster = self.observe(&roster, self.record(conference), now);
            let participants = google::participants(&self.world, conference, ParticipantFilter::All);
            roster = self.observe(&roster, Seen::Everybody { participants, reason: "late" }, now);
            for participant in conference.participants() {
                roster = self.sessions(conference, roster, &participant.name, now);
            }
            roster = self.observe(&roster, Seen::Complete, now);
            ensure!(roster.is_ended() && roster.present() == 0, "somebody is left in a conference that is over");
        }
        Ok(())
    }

    fn record(&self, conference: &SimConference) -> Seen {
        Seen::Record(google::record(&self.world, conference))
    }

    fn sessions(&self, conference: &SimConference, roster: Roster, name: &ParticipantName, now: Timestamp) -> Roster {
        let id = name.as_str().rsplit('/').next().unwrap_or_default();
        let Some(participant) = conference.participant(id) else { return roster };
        let sessions = google::sessions(participant, SessionFilter::All);
        self.observe(&roster, Seen::Sessions { participant: name.clone(), sessions, all: true }, now)
    }

    fn observe(&self, roster: &Roster, seen: Seen, wall: Timestamp) -> Roster {
        let now = Now { mono: elapsed(BEGINNING, wall), wall };
        let observation =
            Observation { moment: Moment { now, google: wall }, by: self.by.clone(), seen, complete: true };
        roster.observe(&observation, &self.directory, &self.rules).roster
    }
}
