//! Scripts: a world as a TOML file of people, meetings, acts and faults. [`EXAMPLE`] explains the format.
//!
//! Parsing reports every mistake with its line. Then the script is rehearsed in a separate world, so that an impossible
//! act (leaving before joining) is reported as a mistake, too.

mod faults;
mod parse;
mod table;

use std::time::Duration;

use jiff::Timestamp;

use super::faults::{Faults, Rule};
use super::world::{Action, PersonKey, SimPerson, SpaceKey, World};
use crate::clock::saturating_add;
use crate::model::MeetingCode;

/// An annotated script.
pub const EXAMPLE: &str = include_str!("../example.script.toml");

/// One mistake in a script.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Counted from 1.
    pub line: usize,
    pub message: String,
}

/// All mistakes in a script, by line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(|mistake| format!("line {}: {}", mistake.line, mistake.message)).collect::<Vec<_>>().join("\n"))]
pub struct Mistakes(pub Vec<Mistake>);

/// A valid script.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    people: Vec<SimPerson>,
    meetings: Vec<Meeting>,
    /// By time; acts at the same time in the order they were written.
    actions: Vec<TimedAction>,
    faults: Vec<TimedRule>,
}

#[derive(Debug, Clone, PartialEq)]
struct Meeting {
    code: Option<MeetingCode>,
    organizer: Option<usize>,
}

/// An action, with indexes into the script's people and meetings.
#[derive(Debug, Clone, PartialEq)]
struct TimedAction {
    after: Duration,
    meeting: usize,
    action: ScriptAction,
    line: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum ScriptAction {
    Start,
    Join(usize, String),
    Leave(usize, Option<String>),
    Rename(usize, String),
    End,
    Abandon,
}

#[derive(Debug, Clone, PartialEq)]
struct TimedRule {
    rule: Rule,
    from: Option<Duration>,
    until: Option<Duration>,
}

impl Script {
    /// Parses and rehearses a script.
    ///
    /// # Errors
    /// [`Mistakes`]: all of them.
    pub fn parse(text: &str) -> Result<Self, Mistakes> {
        let (script, mut mistakes) = parse::parse(text);
        if mistakes.is_empty() {
            mistakes.extend(script.rehearse());
        }
        mistakes.sort();
        if mistakes.is_empty() { Ok(script) } else { Err(Mistakes(mistakes)) }
    }

    /// Returns a world in which the script's actions are scheduled from `start` on, `speed` times as fast. The seed
    /// determines the ids.
    #[must_use]
    pub fn world(&self, seed: u64, start: Timestamp, speed: f64) -> World {
        let mut world = World::empty(seed, start);
        let (people, spaces) = self.populate(&mut world);
        for timed in &self.actions {
            let at = saturating_add(start, faster(timed.after, speed));
            if let Some(space) = spaces.get(timed.meeting).copied().flatten() {
                world.schedule(at, space, timed.action.with(&people));
            }
        }
        world
    }

    /// Returns the faults of the script, for a world that began at `start`.
    #[must_use]
    pub fn faults(&self, seed: u64, start: Timestamp, speed: f64) -> Faults {
        let mut faults = Faults::seeded(seed);
        let at = |after: Option<Duration>| after.map(|after| saturating_add(start, faster(after, speed)));
        faults.add_all(self.faults.iter().map(|timed| Rule {
            from: at(timed.from),
            until: at(timed.until),
            ..timed.rule.clone()
        }));
        faults
    }

    fn populate(&self, world: &mut World) -> (Vec<PersonKey>, Vec<Option<SpaceKey>>) {
        let people: Vec<PersonKey> = self.people.iter().map(|person| world.add_person(person.clone())).collect();
        let space = |meeting: &Meeting| {
            let organizer = meeting.organizer.and_then(|index| people.get(index).copied());
            let added = match &meeting.code {
                Some(code) => world.add_space_under(code.clone(), organizer),
                None => world.add_space(organizer),
            };
            added.ok()
        };
        let spaces = self.meetings.iter().map(space).collect();
        (people, spaces)
    }

    /// Performs every action in a temporary world and returns those that are impossible.
    fn rehearse(&self) -> Vec<Mistake> {
        let start = Timestamp::UNIX_EPOCH;
        let mut world = World::empty(0, start);
        let (people, spaces) = self.populate(&mut world);
        let mut mistakes = Vec::new();
        for timed in &self.actions {
            let Some(space) = spaces.get(timed.meeting).copied().flatten() else { continue };
            if let Err(error) = world.perform(space, &timed.action.with(&people), saturating_add(start, timed.after)) {
                mistakes.push(Mistake { line: timed.line, message: format!("impossible act: {error}") });
            }
        }
        mistakes
    }
}

impl ScriptAction {
    fn with(&self, people: &[PersonKey]) -> Action {
        match self {
            Self::Start => Action::Start,
            Self::Join(person, device) => Action::Join(people[*person], device.as_str().into()),
            Self::Leave(person, Some(device)) => Action::Leave(people[*person], device.as_str().into()),
            Self::Leave(person, None) => Action::LeaveWholly(people[*person]),
            Self::Rename(person, name) => Action::Rename(people[*person], name.as_str().into()),
            Self::End => Action::End,
            Self::Abandon => Action::Abandon,
        }
    }
}

fn faster(duration: Duration, speed: f64) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() / speed).unwrap_or(duration)
}

#[cfg(test)]
mod tests;
