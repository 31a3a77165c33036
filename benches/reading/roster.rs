//! What does it cost to take in a listing? Beside it, the difference of two sets of the same names.

use std::collections::HashSet;
use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use meetwatch::clock::{Now, elapsed};
use meetwatch::meet::{ParticipantFilter, SessionFilter};
use meetwatch::model::{IdentityName, Participant, ParticipantName};
use meetwatch::sim::world::{self, SimPerson, World};
use meetwatch::watch::Roster;
use meetwatch::watch::roster::{Directory, Moment, Observation, RosterRules, Seen};

use crate::figures::{Figures, cpu_of, line, number, title};
use crate::google;
use crate::watching::BEGINNING;

const PEOPLE: usize = 250;
/// How many people leave, and how many join.
const LEAVE: usize = 5;
const ROUNDS: usize = 31;
const TIMES: usize = 500;

pub(crate) fn measure() -> Result<()> {
    title(&format!("The roster: one listing of {PEOPLE} people"));
    let (mut world, spaces) = google::world(4, BEGINNING, 1, PEOPLE)?;
    let space = *spaces.first().context("no space")?;
    let watcher = Watcher::new()?;
    let roster = watcher.full(&world, at(0))?;
    let before = active(&world)?;

    let unchanged = watcher.active(before.clone(), at(10));
    ensure!(roster.observe(&unchanged, &watcher.directory, &watcher.rules).emitted.is_empty(), "something was emitted");

    let leaving: Vec<_> = live(&world)?.participants().take(LEAVE).map(|participant| participant.person).collect();
    for person in leaving {
        world.leave(space, person, "laptop", at(15))?;
        let newcomer = world.add_person(SimPerson::anonymous("A guest"));
        world.join(space, newcomer, "browser", at(15))?;
    }
    let after = active(&world)?;
    let changed = watcher.active(after.clone(), at(20));
    let reads = watcher.sessions_of_changed(&world, &before, &after)?;
    let emitted = watcher.all(&roster, &changed, &reads);
    ensure!(emitted == 4 * LEAVE, "{emitted} events were emitted");

    let [mut plain, mut same, mut differs, mut whole] = [const { Figures::new() }; 4];
    let mut plain_changed = Figures::new();
    let known: HashSet<ParticipantName> = names(&before);
    for _ in 0..ROUNDS {
        plain.add(micros(|| black_box(difference(&known, &before))));
        same.add(micros(|| black_box(watcher.one(&roster, &unchanged))));
        plain_changed.add(micros(|| black_box(difference(&known, &after))));
        differs.add(micros(|| black_box(watcher.one(&roster, &changed))));
        whole.add(micros(|| black_box(watcher.all(&roster, &changed, &reads))));
    }
    show("the difference of two sets, nothing changed", &plain, None);
    show("Roster::observe, nothing changed", &same, Some(&plain));
    show("the difference of two sets, 10 changes", &plain_changed, None);
    show("Roster::observe, 10 changes", &differs, Some(&plain_changed));
    show("the same, with the 10 readings of sessions and the 20 events", &whole, Some(&plain_changed));
    Ok(())
}

/// Takes in what is read, as the schedule does.
struct Watcher {
    by: IdentityName,
    directory: Directory,
    rules: RosterRules,
}

impl Watcher {
    fn new() -> Result<Self> {
        let seconds = Duration::from_secs;
        Ok(Self {
            by: IdentityName::parse("organizer")?,
            directory: Directory::default(),
            rules: RosterRules::new(seconds(10), seconds(60), seconds(600)),
        })
    }

    fn seen(&self, seen: Seen, wall: Timestamp) -> Observation {
        let now = Now { mono: elapsed(BEGINNING, wall), wall };
        Observation { moment: Moment { now, google: wall }, by: self.by.clone(), seen, complete: true }
    }

    fn active(&self, participants: Vec<Participant>, wall: Timestamp) -> Observation {
        self.seen(Seen::Active { participants, reason: "late" }, wall)
    }

    fn sessions(&self, participant: &world::SimParticipant, wall: Timestamp) -> Observation {
        let sessions = google::sessions(participant, SessionFilter::All);
        self.seen(Seen::Sessions { participant: participant.name.clone(), sessions, all: true }, wall)
    }

    /// Returns a roster that knows everything.
    fn full(&self, world: &World, wall: Timestamp) -> Result<Roster> {
        let conference = live(world)?;
        let empty = Roster::new(conference.name.clone(), None, None, conference.start);
        let mut observations =
            vec![self.seen(Seen::Record(google::record(world, conference)), wall), self.active(active(world)?, wall)];
        observations.extend(conference.participants().map(|participant| self.sessions(participant, wall)));
        let observe = |roster: Roster, seen| roster.observe(&seen, &self.directory, &self.rules).roster;
        Ok(observations.into_iter().fold(empty, observe))
    }

    /// Returns the sessions of those who are in one listing only.
    fn sessions_of_changed(
        &self,
        world: &World,
        before: &[Participant],
        after: &[Participant],
    ) -> Result<Vec<Observation>> {
        let (before, after) = (names(before), names(after));
        let changed = live(world)?
            .participants()
            .filter(|participant| before.contains(&participant.name) != after.contains(&participant.name));
        Ok(changed.map(|participant| self.sessions(participant, at(20))).collect())
    }

    /// Takes in one observation. Returns how many events it emits.
    fn one(&self, roster: &Roster, observation: &Observation) -> usize {
        roster.observe(observation, &self.directory, &self.rules).emitted.len()
    }

    /// Takes in a listing and the reads that follow from it. Returns how many events they emit.
    fn all(&self, roster: &Roster, listing: &Observation, reads: &[Observation]) -> usize {
        let mut outcome = roster.observe(listing, &self.directory, &self.rules);
        let mut emitted = outcome.emitted.len();
        for read in reads {
            outcome = outcome.roster.observe(read, &self.directory, &self.rules);
            emitted += outcome.emitted.len();
        }
        emitted
    }
}

fn at(second: u64) -> Timestamp {
    meetwatch::clock::saturating_add(BEGINNING, Duration::from_secs(second))
}

fn live(world: &World) -> Result<&world::SimConference> {
    world.spaces().find_map(|(key, _)| world.live_in(key)).context("nothing is live")
}

fn active(world: &World) -> Result<Vec<Participant>> {
    Ok(google::participants(world, live(world)?, ParticipantFilter::Active))
}

fn names(participants: &[Participant]) -> HashSet<ParticipantName> {
    participants.iter().map(|participant| participant.name.clone()).collect()
}

/// Returns who came, who left, and the set for the next time.
fn difference(
    before: &HashSet<ParticipantName>,
    listed: &[Participant],
) -> (Vec<ParticipantName>, Vec<ParticipantName>, HashSet<ParticipantName>) {
    let now = names(listed);
    let came = now.difference(before).cloned().collect();
    let left = before.difference(&now).cloned().collect();
    (came, left, now)
}

fn micros<T>(work: impl Fn() -> T) -> f64 {
    let (time, ()) = cpu_of(|| {
        for _ in 0..TIMES {
            work();
        }
    });
    time.as_secs_f64() * 1e6 / number(TIMES)
}

fn show(what: &str, figures: &Figures, beside: Option<&Figures>) {
    let ratio = beside.map(|other| format!(" = {:.2} times", figures.median() / other.median())).unwrap_or_default();
    let (least, most) = figures.spread();
    line(what, &format!("{:>7.1} µs ({least:.1} to {most:.1}){ratio}", figures.median()));
}
