//! The end of a history: everything that was told is held against everything that happened.

use jiff::Timestamp;

use super::Play;
use crate::clock::{elapsed, saturating_add};
use crate::sim::world::ConferenceTruth;
use crate::verify::expect::Expectations;
use crate::verify::history::{Broken, History};
use crate::verify::scenario::Watching;
use crate::verify::{content, honesty, sight, truth};

impl Play {
    /// When nobody could see anything, by Google's clock.
    fn dark(&self) -> Vec<(Timestamp, Timestamp)> {
        let alone = matches!(
            self.scenario.watch,
            Watching::Organizer | Watching::Codes | Watching::Spaces | Watching::Conferences
        );
        self.down.iter().copied().chain(self.scenario.refused.filter(|_| alone)).collect()
    }

    pub(in crate::verify) fn compare(mut self) -> Result<History, Broken> {
        let google = self.google();
        self.api.world.step(google);
        self.history.simulated = self.mono.saturating_sub(self.scenario.late);
        for (fault, count) in self.api.faults.struck().iter().chain(self.calm.struck()) {
            *self.history.faults.entry(fault).or_default() += count;
        }
        let store = |error: truth::LogError| Broken::Store(error.to_string());
        self.history.bodies = truth::bodies_of(&self.db).map_err(|error| Broken::Store(error.to_string()))?;
        let events = truth::log_of(&self.db).map_err(store)?;
        let since = self.db.targets().map_err(|error| Broken::Store(error.to_string()))?;
        let since: Vec<_> = since.into_iter().map(|row| row.watched_since).collect();
        let expect = Expectations {
            scenario: &self.scenario,
            named: &self.cast.named,
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
        self.history.disagreements.extend(content::of_no_target(&events));
        if !self.scenario.revises() {
            self.history.disagreements.extend(honesty::told_as_googles(&self.api.world, &events));
        }
        if self.scenario.watch != Watching::Guest {
            // A guest may not have been able to look before, either, so that there is no time since when nobody did.
            self.history.disagreements.extend(honesty::seen_while_down(&events, &self.dark()));
            let whole = |truth: &ConferenceTruth| compared.whole.contains(&truth.conference);
            let known = self.api.world.conferences().filter(whole).map(|truth| (truth.conference, truth.end)).collect();
            let wrong = sight::untold(&events, &self.down, &known, !self.options.faults);
            self.history.disagreements.extend(wrong);
        }
        // Nobody invites a guest to every meeting, so that one is shut out without anything going wrong.
        if !self.options.faults && self.scenario.watch != Watching::Guest {
            self.history.disagreements.extend(sight::told_of_nothing(&events, &self.down));
            if self.down.is_empty() {
                let since = saturating_add(self.begun, self.scenario.late);
                self.history.disagreements.extend(sight::late_for_no_reason(&events, since));
            }
        }
        if !self.scenario.denies() {
            let grace = crate::watch::WatchSettings::default().leave_grace;
            self.history.disagreements.extend(honesty::concluded_too_early(&self.api.world, &events, grace));
        }
        let trouble: Vec<_> = self.down.iter().copied().chain(self.scenario.hidden(self.begun)).collect();
        let wrong = honesty::concluded_too_long(&self.api.world, &events, trouble, &self.denied);
        self.history.disagreements.extend(wrong);
        if let Some(post) = &self.post {
            self.history.deliveries = post.deliveries;
            self.history.disagreements.extend(post.compare(&self.db, &events)?);
        }
        for event in &events {
            *self.history.events.entry(event.provenance.as_str()).or_default() += 1;
            let conference = event.conference.as_ref().map_or("", |conference| conference.name.as_str());
            self.history.log.push((conference.to_owned(), truth::line(event)));
        }
        for left in self.scheduler.conferences().keys() {
            self.history.disagreements.push(format!("never read to the end: {left}"));
        }
        self.history.journal = self.journal;
        Ok(self.history)
    }
}
