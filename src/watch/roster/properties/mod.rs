//! What holds of the roster for any observations in any order.
//!
//! Every observation of every test here goes through [`Harness::see`], which checks it against the rules that need no more
//! than the observation itself: the same one twice changes and emits nothing; knowledge only grows; the log has no hole and
//! no id twice; with its corrections applied it equals what is known; the count of people present is right; no leave is
//! inferred too early; and another process that starts from the rows knows the same.

mod harness;

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::Seen;
use super::session_state::SessionState;
use crate::model::{EventType, Participant, Source};
use harness::{Harness, PEOPLE, at, emitted_facts, participant, person, record, session, standing};

/// Something that may be observed of one conference, true or not.
#[derive(Debug, Clone)]
enum AnyStep {
    Wait(i64),
    /// A listing of those in the mask, by one of two identities.
    Active(u8, bool),
    People(Vec<(u8, i64, Option<i64>)>),
    Everybody(Vec<(u8, i64, Option<i64>)>),
    Sessions(u8, Vec<(u8, i64, Option<i64>)>, bool),
    /// The same two, of which a part cannot be read.
    ActiveInPart(u8),
    SessionsInPart(u8, Vec<(u8, i64, Option<i64>)>, bool),
    /// A listing that shows no starts.
    Startless(u8),
    Record(i64, Option<i64>),
    Unreadable(u8, bool),
    Lost,
    Complete,
    Restart,
}

/// A session or a participant: number, start and end. The end may be before the start.
fn resource() -> impl Strategy<Value = (u8, i64, Option<i64>)> {
    (0..PEOPLE, 0..60_i64, option::of(0..90_i64))
}

fn act() -> impl Strategy<Value = AnyStep> {
    prop_oneof![
        4 => (1..90_i64).prop_map(AnyStep::Wait),
        6 => (0..1_u8 << PEOPLE, prop::bool::weighted(0.1)).prop_map(|(mask, other)| AnyStep::Active(mask, other)),
        1 => vec(resource(), 0..3).prop_map(AnyStep::People),
        1 => vec(resource(), 0..3).prop_map(AnyStep::Everybody),
        6 => (0..PEOPLE, vec(resource(), 0..4), any::<bool>()).prop_map(|(who, all, full)| AnyStep::Sessions(who, all, full)),
        1 => (0..1_u8 << PEOPLE).prop_map(AnyStep::ActiveInPart),
        2 => (0..PEOPLE, vec(resource(), 0..3), any::<bool>())
            .prop_map(|(who, all, full)| AnyStep::SessionsInPart(who, all, full)),
        1 => (0..1_u8 << PEOPLE).prop_map(AnyStep::Startless),
        3 => (-5..5_i64).prop_map(|start| AnyStep::Record(start, None)),
        1 => (-5..5_i64, option::of(0..400_i64)).prop_map(|(start, end)| AnyStep::Record(start, end)),
        1 => (0..PEOPLE, any::<bool>()).prop_map(|(who, not_found)| AnyStep::Unreadable(who, not_found)),
        1 => prop_oneof![9 => Just(AnyStep::Unreadable(0, true)), 1 => Just(AnyStep::Lost)],
        1 => Just(AnyStep::Complete),
        1 => Just(AnyStep::Restart),
    ]
}

fn people(all: &[(u8, i64, Option<i64>)]) -> Vec<Participant> {
    let mut people: Vec<_> = all.iter().map(|(who, start, end)| participant(*who, *start, *end)).collect();
    // The reader removes what a list showed twice.
    people.sort_by(|a, b| a.name.cmp(&b.name));
    people.dedup_by(|a, b| a.name == b.name);
    people
}

fn listed(mask: u8) -> impl Iterator<Item = Participant> {
    (0..PEOPLE).filter(move |who| mask >> who & 1 == 1).map(|who| participant(who, 7, None))
}

fn sessions(who: u8, all: &[(u8, i64, Option<i64>)], full: bool) -> Seen {
    let mut sessions: Vec<_> = all.iter().map(|(n, start, end)| session(who, *n, *start, *end)).collect();
    sessions.sort_by(|a, b| a.name.cmp(&b.name));
    sessions.dedup_by(|a, b| a.name == b.name);
    Seen::Sessions { participant: person(who), sessions, all: full }
}

fn do_act(stage: &mut Harness, act: &AnyStep) {
    let (other, seen) = match act {
        AnyStep::ActiveInPart(mask) => {
            stage.see_as(false, Seen::Active { participants: listed(*mask).collect(), reason: "network" }, false);
            return;
        }
        AnyStep::SessionsInPart(who, all, full) => {
            stage.see_as(false, sessions(*who, all, *full), false);
            return;
        }
        AnyStep::Startless(mask) => {
            let startless = listed(*mask).map(|read| Participant { earliest_start: None, ..read });
            (false, Seen::Active { participants: startless.collect(), reason: "network" })
        }
        AnyStep::Wait(seconds) => {
            stage.now += seconds;
            return;
        }
        AnyStep::Restart => return stage.restart(),
        AnyStep::Active(mask, other) => {
            (*other, Seen::Active { participants: listed(*mask).collect(), reason: "network" })
        }
        AnyStep::People(all) => (false, Seen::Participants(people(all))),
        AnyStep::Everybody(all) => (false, Seen::Everybody { participants: people(all), reason: "network" }),
        AnyStep::Sessions(who, all, full) => (false, sessions(*who, all, *full)),
        AnyStep::Record(start, end) => (false, Seen::Record(record(*start, *end))),
        AnyStep::Unreadable(who, not_found) => {
            (false, Seen::Unreadable { participant: person(*who), not_found: *not_found })
        }
        AnyStep::Lost => (false, Seen::GivenUp),
        AnyStep::Complete => (false, Seen::Complete),
    };
    stage.see(other, seen);
}

/// One person's stay in a conference that really takes place, and how late Google shows its start and its end.
#[derive(Debug, Clone, Copy)]
struct RealStay {
    start: i64,
    /// `None`: Google never ends it.
    end: Option<i64>,
    start_lag: i64,
    end_lag: i64,
}

/// A conference that really takes place: the stays of each person.
#[derive(Debug, Clone)]
struct Truth {
    people: Vec<Vec<RealStay>>,
    end: i64,
}

impl Truth {
    /// Returns what Google shows of a person's stays at a time.
    fn shown(&self, who: u8, now: i64) -> Vec<(u8, i64, Option<i64>)> {
        let visible = (0..).zip(&self.people[usize::from(who)]).filter(|(_, stay)| stay.start + stay.start_lag <= now);
        visible.map(|(n, stay)| (n, stay.start, stay.end.filter(|end| end + stay.end_lag <= now))).collect()
    }

    fn participant(&self, who: u8, now: i64) -> Option<(u8, i64, Option<i64>)> {
        let shown = self.shown(who, now);
        let start = shown.iter().map(|(_, start, _)| *start).min()?;
        let ends: Option<Vec<_>> = shown.iter().map(|(.., end)| *end).collect();
        Some((who, start, ends.and_then(|ends| ends.into_iter().max())))
    }

    fn everybody(&self, now: i64) -> Vec<(u8, i64, Option<i64>)> {
        (0..PEOPLE).filter_map(|who| self.participant(who, now)).collect()
    }
}

fn stay() -> impl Strategy<Value = (i64, i64, bool, i64, i64)> {
    (0..400_i64, 0..200_i64, prop::bool::weighted(0.08), 0..90_i64, 0..90_i64)
}

fn truth() -> impl Strategy<Value = Truth> {
    vec(vec(stay(), 1..5), usize::from(PEOPLE)).prop_map(|people| {
        let people: Vec<Vec<RealStay>> = people
            .into_iter()
            .map(|stays| {
                let stays = stays.into_iter().map(|(start, length, open, start_lag, end_lag)| RealStay {
                    start,
                    end: (!open).then_some(start + length),
                    start_lag,
                    end_lag,
                });
                stays.collect()
            })
            .collect();
        let ends = people.iter().flatten().map(|stay| stay.end.unwrap_or(stay.start)).max();
        Truth { people, end: ends.unwrap_or(0) + 1 }
    })
}

/// A read of what really takes place. Listings may miss somebody.
#[derive(Debug, Clone)]
enum TruthfulStep {
    Wait(i64),
    Active {
        missed: u8,
        other: bool,
    },
    Left,
    Sessions(u8, bool),
    /// All sessions but those in the mask, which cannot be read.
    SessionsInPart(u8, u8),
    ActiveInPart(u8),
    Record,
    Unreadable(u8),
    Restart,
}

fn look() -> impl Strategy<Value = TruthfulStep> {
    let some = prop::bool::weighted(0.2);
    prop_oneof![
        5 => (1..60_i64).prop_map(TruthfulStep::Wait),
        6 => (some, 0..1_u8 << PEOPLE, prop::bool::weighted(0.05))
            .prop_map(|(some, mask, other)| TruthfulStep::Active { missed: if some { mask } else { 0 }, other }),
        1 => Just(TruthfulStep::Left),
        4 => (0..PEOPLE, any::<bool>()).prop_map(|(who, all)| TruthfulStep::Sessions(who, all)),
        2 => (0..PEOPLE, 1..16_u8).prop_map(|(who, mask)| TruthfulStep::SessionsInPart(who, mask)),
        1 => (0..1_u8 << PEOPLE).prop_map(TruthfulStep::ActiveInPart),
        2 => Just(TruthfulStep::Record),
        1 => (0..PEOPLE).prop_map(TruthfulStep::Unreadable),
        1 => Just(TruthfulStep::Restart),
    ]
}

fn do_look(stage: &mut Harness, truth: &Truth, look: &TruthfulStep) {
    let now = stage.now;
    match look {
        TruthfulStep::Wait(seconds) => stage.now += seconds,
        TruthfulStep::Restart => stage.restart(),
        TruthfulStep::Active { missed, other } => {
            let active =
                truth.everybody(now).into_iter().filter(|(who, _, end)| end.is_none() && missed >> who & 1 == 0);
            let participants = people(&active.collect::<Vec<_>>());
            stage.see(*other, Seen::Active { participants, reason: "timeout" });
        }
        TruthfulStep::Left => {
            let left: Vec<_> = truth.everybody(now).into_iter().filter(|(.., end)| end.is_some()).collect();
            do_act(stage, &AnyStep::People(left));
        }
        TruthfulStep::Sessions(who, all) => {
            let shown = truth.shown(*who, now).into_iter().filter(|(.., end)| *all || end.is_none());
            do_act(stage, &AnyStep::Sessions(*who, shown.collect(), *all));
        }
        TruthfulStep::SessionsInPart(who, mask) => {
            let shown: Vec<_> = truth.shown(*who, now).into_iter().filter(|(n, ..)| mask >> n & 1 == 0).collect();
            stage.see_as(false, sessions(*who, &shown, true), false);
        }
        TruthfulStep::ActiveInPart(mask) => {
            let active = truth.everybody(now).into_iter().filter(|(who, _, end)| end.is_none() && mask >> who & 1 == 0);
            let participants = people(&active.collect::<Vec<_>>());
            stage.see_as(false, Seen::Active { participants, reason: "timeout" }, false);
        }
        TruthfulStep::Record => {
            stage.see(false, Seen::Record(record(0, (truth.end <= now).then_some(truth.end))));
        }
        TruthfulStep::Unreadable(who) => do_act(stage, &AnyStep::Unreadable(*who, false)),
    }
}

/// Reads everything once more after the end.
fn read_in_full(stage: &mut Harness, truth: &Truth) {
    stage.now = stage.now.max(truth.end + 100) + 1;
    do_look(stage, truth, &TruthfulStep::Record);
    do_act(stage, &AnyStep::Everybody(truth.everybody(stage.now)));
    for who in 0..PEOPLE {
        do_look(stage, truth, &TruthfulStep::Sessions(who, true));
    }
    stage.see(false, Seen::Complete);
}

fn ends(known: &SessionState, truth: &Truth, stay: &RealStay) -> bool {
    match stay.end {
        Some(end) => known.end == Some((at(end), Source::Google)),
        None => known.end.is_some_and(|(end, source)| end <= at(truth.end) && source == Source::Inferred),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_rule_holds_whatever_is_observed(grace in 0..300_u64, acts in vec(act(), 1..60)) {
        let mut stage = Harness::new(grace);
        for act in &acts {
            do_act(&mut stage, act);
        }
    }

    #[test]
    fn a_full_reading_leaves_the_truth_however_it_was_read_before(
        grace in 0..300_u64, truth in truth(), looks in vec(look(), 0..80),
    ) {
        let mut stage = Harness::new(grace);
        for look in &looks {
            do_look(&mut stage, &truth, look);
        }
        read_in_full(&mut stage, &truth);
        for (who, stays) in (0..).zip(&truth.people) {
            let known = &stage.roster.participants()[&person(who)];
            prop_assert_eq!(known.sessions().len(), stays.len());
            for (n, stay) in (0..).zip(stays) {
                let name = session(who, n, 0, None).name;
                let known = known.sessions().iter().find(|known| known.name == name).unwrap();
                prop_assert_eq!(known.start, at(stay.start));
                prop_assert!(ends(known, &truth, stay), "{:?} is {:?}", stay, known);
            }
        }
        let forgotten = truth.people.iter().flatten().any(|stay| stay.end.is_none());
        let inferred = standing(&stage.log).into_iter().filter(|(.., source)| *source == Source::Inferred).count();
        prop_assert!(forgotten || inferred == 0, "an inference that nothing corrected");
        prop_assert!(stage.roster.participants().values().all(|person| !person.is_present()));
        prop_assert_eq!(stage.log.last().map(|emitted| emitted.event.event), Some(EventType::ConferenceEnded));
        stage.now += 600;
        let emitted = stage.log.len();
        read_in_full(&mut stage, &truth);
        prop_assert_eq!(stage.log.len(), emitted, "the last complete read emits nothing new");
    }

    #[test]
    fn what_google_said_ends_up_the_same_in_whatever_order_it_was_read(
        (acts, shuffled) in vec(google(), 1..24).prop_flat_map(|acts| (Just(acts.clone()), Just(acts).prop_shuffle())),
    ) {
        let play = |acts: &[AnyStep]| {
            let mut stage = Harness::new(600);
            do_act(&mut stage, &AnyStep::People((0..PEOPLE).map(|who| (who, 50, None)).collect()));
            for act in acts {
                stage.now += 1;
                do_act(&mut stage, act);
            }
            stage.now = 1000;
            do_act(&mut stage, &AnyStep::Record(0, Some(500)));
            do_act(&mut stage, &AnyStep::Complete);
            let facts: BTreeSet<_> = emitted_facts(&stage.roster).into_iter().map(|(event, person, session, time, source)| {
                // If several sessions begin or end a presence together, the one it is emitted with may differ.
                let session = session.filter(|_| matches!(event, EventType::SessionStarted | EventType::SessionEnded));
                (event, person, session, time, source)
            }).collect();
            facts
        };
        prop_assert_eq!(play(&acts), play(&shuffled));
    }
}

/// Something that Google may show, so nothing that is inferred.
fn google() -> impl Strategy<Value = AnyStep> {
    prop_oneof![
        1 => vec(resource(), 0..3).prop_map(AnyStep::People),
        5 => (0..PEOPLE, vec(resource(), 0..4), any::<bool>()).prop_map(|(who, all, full)| AnyStep::Sessions(who, all, full)),
        1 => (-20..20_i64, option::of(-30..400_i64)).prop_map(|(start, end)| AnyStep::Record(start, end)),
    ]
}
