//! A world written down: a TOML file of people, meetings, acts and faults ([`EXAMPLE`] explains all of it).
//!
//! A script is read whole, every mistake told with its line; then it is rehearsed in a world of its own, so that an
//! act that cannot happen (leaving before joining) is a mistake too and not a surprise.

mod faults;
mod parse;
mod table;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::faults::{Faults, Rule};
use super::world::{Act, Person, PersonKey, SpaceKey, World};
use crate::clock::saturating_add;
use crate::model::MeetingCode;

/// An annotated script.
pub const EXAMPLE: &str = include_str!("../example.script.toml");

/// One thing that is wrong with a script.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Counted from 1.
    pub line: usize,
    pub message: String,
}

/// Everything that is wrong with a script, by line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(|mistake| format!("line {}: {}", mistake.line, mistake.message)).collect::<Vec<_>>().join("\n"))]
pub struct Mistakes(pub Vec<Mistake>);

/// A script that makes sense.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    people: Vec<Person>,
    meetings: Vec<Meeting>,
    /// By time; those of one time in the order they were written.
    acts: Vec<TimedAct>,
    faults: Vec<TimedRule>,
}

#[derive(Debug, Clone, PartialEq)]
struct Meeting {
    code: Option<MeetingCode>,
    organizer: Option<usize>,
}

/// An act, with indexes into the script's people and meetings.
#[derive(Debug, Clone, PartialEq)]
struct TimedAct {
    after: Duration,
    meeting: usize,
    act: ScriptAct,
    line: usize,
}

#[derive(Debug, Clone, PartialEq)]
enum ScriptAct {
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
    /// Reads and rehearses a script.
    ///
    /// # Errors
    /// [`Mistakes`], all of them.
    pub fn parse(text: &str) -> Result<Self, Mistakes> {
        let (script, mut mistakes) = parse::parse(text);
        if mistakes.is_empty() {
            mistakes.extend(script.rehearse());
        }
        mistakes.sort();
        if mistakes.is_empty() { Ok(script) } else { Err(Mistakes(mistakes)) }
    }

    /// The world in which all of this will happen, from `start` on and `speed` times as fast. The seed makes the ids.
    #[must_use]
    pub fn world(&self, seed: u64, start: Timestamp, speed: f64) -> World {
        let mut world = World::empty(seed, start);
        let (people, spaces) = self.cast(&mut world);
        for act in &self.acts {
            let at = saturating_add(start, faster(act.after, speed));
            if let Some(space) = spaces.get(act.meeting).copied().flatten() {
                world.schedule(at, space, act.act.with(&people));
            }
        }
        world
    }

    /// The faults of the script, for a world that began at `start`.
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

    /// When the last act happens, from the start on.
    #[must_use]
    pub fn length(&self, speed: f64) -> Duration {
        self.acts.last().map_or(Duration::ZERO, |act| faster(act.after, speed))
    }

    fn cast(&self, world: &mut World) -> (Vec<PersonKey>, Vec<Option<SpaceKey>>) {
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

    /// Does everything once, for nobody, and tells what could not be done.
    fn rehearse(&self) -> Vec<Mistake> {
        let start = Timestamp::UNIX_EPOCH;
        let mut world = World::empty(0, start);
        let (people, spaces) = self.cast(&mut world);
        let mut mistakes = Vec::new();
        for act in &self.acts {
            let Some(space) = spaces.get(act.meeting).copied().flatten() else { continue };
            if let Err(error) = world.act(space, &act.act.with(&people), saturating_add(start, act.after)) {
                mistakes.push(Mistake { line: act.line, message: format!("this cannot happen: {error}") });
            }
        }
        mistakes
    }
}

impl ScriptAct {
    fn with(&self, people: &[PersonKey]) -> Act {
        match self {
            Self::Start => Act::Start,
            Self::Join(person, device) => Act::Join(people[*person], device.as_str().into()),
            Self::Leave(person, Some(device)) => Act::Leave(people[*person], device.as_str().into()),
            Self::Leave(person, None) => Act::LeaveWholly(people[*person]),
            Self::Rename(person, name) => Act::Rename(people[*person], name.as_str().into()),
            Self::End => Act::End,
            Self::Abandon => Act::Abandon,
        }
    }
}

fn faster(duration: Duration, speed: f64) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() / speed).unwrap_or(duration)
}

/// Seconds, as far as they fit.
fn signed(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

#[cfg(test)]
mod tests;
