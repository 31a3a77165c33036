//! The end of a history: compares every reported event and delivery with what happened in the world.

use jiff::Timestamp;

use super::Simulation;
use crate::clock::{elapsed, saturating_add};
use crate::sim::world::ConferenceTruth;
use crate::verify::expect::Expectations;
use crate::verify::history::{History, HistoryError};
use crate::verify::scenario::Watching;
use crate::verify::{content, gaps, honesty, truth};

impl Simulation {
    /// Returns when no identity could read anything, by Google's clock.
    fn unobserved(&self) -> Vec<(Timestamp, Timestamp)> {
        let alone = matches!(
            self.scenario.watch,
            Watching::Organizer | Watching::Codes | Watching::Spaces | Watching::Conferences
        );
        // With a short budget, listings are planned so far apart that a refusal between two of them is not noticed.
        let noticed = alone && self.scenario.is_roomy();
        self.down.iter().copied().chain(self.scenario.refused.filter(|_| noticed)).collect()
    }

    pub(in crate::verify) fn compare(mut self) -> Result<History, HistoryError> {
        let google = self.google();
        self.api.world.step(google);
        self.history.simulated = self.mono.saturating_sub(self.scenario.late);
        for (fault, count) in self.api.faults.struck().iter().chain(self.faults_after_end.struck()) {
            *self.history.faults.entry(fault).or_default() += count;
        }
        let store = |error: truth::LogError| HistoryError::Store(error.to_string());
        self.history.bodies = truth::bodies_of(&self.db).map_err(|error| HistoryError::Store(error.to_string()))?;
        let events = truth::log_of(&self.db).map_err(store)?;
        let since = self.db.targets().map_err(|error| HistoryError::Store(error.to_string()))?;
        let since: Vec<_> = since.into_iter().map(|row| row.watched_since).collect();
        let expect = Expectations {
            scenario: &self.scenario,
            named: &self.fixtures.named,
            denied: &self.denied,
            down: &self.down,
            since: &since,
        };
        let compared = truth::compare_as(&self.api.world, &events, |conference| expect.of(conference));
        (self.history.conferences, self.history.sessions) = (compared.conferences, compared.sessions);
        self.history.conferred = self
            .api
            .world
            .conferences()
            .map(|conference| elapsed(conference.start, conference.end.unwrap_or(google)))
            .sum();
        self.history.disagreements.extend(compared.disagreements);
        self.history.disagreements.extend(content::without_target(&events));
        if !self.scenario.revises() {
            self.history.disagreements.extend(honesty::wrongly_attributed_to_google(&self.api.world, &events));
        }
        if self.scenario.watch != Watching::Guest {
            // A guest may have lacked access before, too, so the start of their gap is not known.
            self.history.disagreements.extend(honesty::observed_while_down(&events, &self.unobserved()));
            let whole = |truth: &ConferenceTruth| compared.whole.contains(&truth.conference);
            let known = self.api.world.conferences().filter(whole).map(|truth| (truth.conference, truth.end)).collect();
            let wrong = gaps::missing(&events, &self.down, &known, !self.options.faults);
            self.history.disagreements.extend(wrong);
        }
        // A guest is not in every meeting, and so lacks access without any fault.
        if !self.options.faults && self.scenario.watch != Watching::Guest {
            self.history.disagreements.extend(gaps::without_cause(&events, &self.down));
            if self.down.is_empty() {
                let since = saturating_add(self.begun, self.scenario.late);
                self.history.disagreements.extend(gaps::not_observed(&events, since));
            }
        }
        if !self.scenario.denies() {
            let grace = crate::watch::WatchSettings::default().leave_grace;
            self.history.disagreements.extend(honesty::inferred_too_early(&self.api.world, &events, grace));
        }
        let excluded: Vec<_> = self.down.iter().copied().chain(self.scenario.hidden(self.begun)).collect();
        let wrong = honesty::inferred_too_long(&self.api.world, &events, excluded, &self.denied);
        self.history.disagreements.extend(wrong);
        if let Some(receivers) = &self.receivers {
            self.history.deliveries = receivers.deliveries;
            for trouble in receivers.troubles() {
                *self.history.faults.entry(trouble).or_default() += 1;
            }
            self.history.disagreements.extend(receivers.compare(&self.db, &events)?);
        }
        for event in &events {
            *self.history.events.entry(event.provenance.as_str()).or_default() += 1;
            let conference = event.conference.as_ref().map_or("", |conference| conference.name.as_str());
            self.history.log.push((conference.to_owned(), truth::line(event)));
        }
        for left in self.scheduler.conferences().keys() {
            self.history.disagreements.push(format!("not finished by the scheduler: {left}"));
        }
        self.history.journal = self.journal;
        Ok(self.history)
    }
}
