//! Incidents besides the faults of Google's answers: clock jumps, suspension of the machine, crashes, expired records.

use std::time::Duration;

use jiff::SignedDuration;

use super::{CLOCKS_COMPARED_WITHIN, Simulation, SimulationStep};
use crate::backoff::Random;
use crate::clock::saturating_add;
use crate::meet::{Answer, Reading, Reason};
use crate::model::ParticipantName;
use crate::sim::faults::{Fault, Rule};
use crate::sim::world::{Action, World};
use crate::verify::google::failure;
use crate::verify::history::{HistoryError, HistoryOptions};
use crate::verify::receivers::Receivers;
use crate::verify::scenario::Scenario;
use crate::watch::{SchedulerInput, WorkKey};

impl Simulation {
    /// Applies a clock jump and the expiry of records if they are due.
    pub(super) fn apply_incidents(&mut self) {
        if self.jump_at.is_some_and(|at| at <= self.mono) {
            let jump = self.random.i64(-7200..7200);
            self.skew = SignedDuration::from_secs(jump);
            self.dates_correct_until = self.mono + CLOCKS_COMPARED_WITHIN;
            self.count("clock-jump");
            self.journal.note(self.google(), None, || format!("the wall clock jumps and is now {jump} s off"));
            self.plan_jump();
        }
        if self.deny_at.is_some_and(|at| at <= self.mono) {
            self.deny_at = None;
            let google = self.google();
            self.api.world.step(google);
            let every = self.scenario.expires.unwrap_or(1) as usize;
            let known: Vec<_> = self.api.world.conferences().map(|conference| conference.conference).collect();
            for name in known.into_iter().rev().step_by(every) {
                let id = name.as_str().rsplit('/').next().unwrap_or_default();
                let rule = Rule { from: Some(google), ..Rule::new(Fault::NotFound).of(id) };
                self.api.faults.add(rule.clone());
                self.faults_after_end.add(rule);
                self.count("expired");
                self.journal.note(google, Some(&WorkKey::Conference(name.clone())), || "the record is gone".to_owned());
                self.denied.insert(name);
            }
        }
    }

    /// Suspends the machine if it is due: clocks go on, and answers in flight are found after resuming.
    pub(super) fn sleep(&mut self) {
        let Some((_, length)) = self.scenario.sleeps.filter(|(at, _)| *at <= self.mono) else { return };
        self.scenario.sleeps = None;
        let from = self.google();
        self.journal.note(from, None, || format!("the machine sleeps for {} s", length.as_secs()));
        // The client times out on reads in flight.
        for step in self.queue.values_mut() {
            if let SimulationStep::Answer(_, answer) = step {
                **answer = Err(failure(Reason::Timeout, None));
            }
        }
        self.mono += length;
        self.dates_correct_until = self.dates_correct_until.max(self.mono + CLOCKS_COMPARED_WITHIN);
        self.down.push((from, self.google()));
        if let Some(receivers) = &mut self.receivers {
            receivers.disturb(self.mono);
        }
        self.count("sleep");
    }

    /// Omits the same participants from every listing during the configured times.
    pub(super) fn hide_participants(&mut self, reading: &mut Reading) {
        let hides = self.scenario.hides.iter().any(|(from, until)| (*from..*until).contains(&self.mono));
        if let (true, Answer::Participants(listed)) = (hides, &mut reading.answer) {
            let before = listed.len();
            listed.retain(|participant| !hidden(&participant.name));
            *self.history.faults.entry("hidden").or_default() += (before - listed.len()) as u64;
        }
    }

    pub(super) fn plan_jump(&mut self) {
        let every = self.scenario.jumps_every.map(|every| every.as_secs().max(2));
        self.jump_at = every.map(|every| self.mono + Duration::from_secs(self.random.u64(every / 2..every * 2)));
    }

    pub(super) fn plan_crash(&mut self) {
        let next = self.options.crashes.then(|| self.mono + Duration::from_secs(self.random.u64(60..7200)));
        let next = next.filter(|at| *at <= self.options.length);
        let death = self.scenario.dies.filter(|at| *at > self.mono);
        let outage = self.scenario.outage.map(|(from, _)| from).filter(|from| *from > self.mono);
        self.crash_at = next.into_iter().chain(death).chain(outage).min();
    }

    /// The process dies. Some of the commits in flight are stored but not acknowledged, the rest is lost. It starts
    /// again later.
    pub(super) fn crash(&mut self) -> Result<(), HistoryError> {
        self.history.crashes += 1;
        let from = self.google();
        for step in std::mem::take(&mut self.queue).into_values() {
            if let SimulationStep::Commit(_, commit) = step
                && self.random.bool()
            {
                self.commit(*commit);
            }
        }
        let until = match self.scenario.outage {
            Some((from, to)) if from <= self.mono => {
                self.scenario.outage = None;
                to
            }
            _ if self.random.bool() => self.mono + Duration::from_secs(self.random.u64(0..20)),
            _ => self.mono + Duration::from_secs(self.random.u64(20..1800)),
        };
        self.mono = self.mono.max(until);
        self.journal.note(from, None, || "the process dies".to_owned());
        self.journal.note(self.google(), None, || "the process starts again".to_owned());
        self.down.push((from, self.google()));
        self.dates_correct_until = self.mono + CLOCKS_COMPARED_WITHIN;
        if let Some(receivers) = &mut self.receivers {
            receivers.die(self.mono);
        }
        let (seed, routes) = (self.random.u64(..), self.receivers.iter().flat_map(Receivers::routes).collect());
        self.scheduler = self.fixtures.scheduler(&self.db, routes, seed, self.now())?;
        self.plan_crash();
        self.step(SchedulerInput::Tick);
        Ok(())
    }
}

/// Schedules actions of the scenario that the seeded world does not plan.
pub(super) fn schedule(scenario: &Scenario, options: &HistoryOptions, world: &mut World, random: &mut Random) {
    let spaces: Vec<_> = world.spaces().map(|(key, _)| key).collect();
    let people: Vec<_> =
        (1..28).filter_map(|number| world.person_by_email(&format!("person{number}@example.com"))).collect();
    let (from, until) = (scenario.late.as_secs() + 1, options.length.as_secs().max(scenario.late.as_secs() + 2));
    for space in spaces {
        let mut at = || saturating_add(scenario.world.start, Duration::from_secs(random.u64(from..until)));
        if scenario.abandons {
            for _ in 0..3 {
                // Not on a full second, on which others may join: a conference that ends before anybody is in it does
                // not exist.
                world.schedule(saturating_add(at(), Duration::from_millis(137)), space, Action::Abandon);
            }
        }
        if scenario.renames {
            for (number, person) in people.iter().enumerate() {
                world.schedule(at(), space, Action::Rename(*person, format!("Renamed {number}").into()));
            }
        }
    }
}

/// Returns whether a participant is omitted; the same ones every time.
fn hidden(name: &ParticipantName) -> bool {
    name.as_str().bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte)).is_multiple_of(2)
}
