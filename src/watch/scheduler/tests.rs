//! Changes of the configuration while the schedule runs: one live conference with one person, read from memory.

mod failures;
mod identities;
mod unreadable;

use std::collections::BTreeSet;

use jiff::Timestamp;
use prometheus::{IntCounterVec, Opts, Registry};

use super::*;
use crate::meet::{Answer, Read};
use crate::model::{Conference, Participant, ParticipantKind, ParticipantName, Route, Session, Space};
use crate::store::{Commit, TargetRow};
use crate::watch::settings::{TargetSelector, TargetSettings};

const SECOND: Duration = Duration::from_secs(1);

/// A schedule, and what it waits for.
struct Scene {
    scheduler: Scheduler,
    board: StatusBoard,
    now: Now,
    /// Google's clock minus ours.
    google_ahead: Duration,
    reads: Vec<(WorkKey, IdentityName, Read)>,
    commits: Vec<Commit>,
    /// How many of the next commits of targets fail.
    failing_commits: u32,
    /// Whether commits of conferences fail.
    refuses_conferences: bool,
}

fn identity(name: &str) -> WatchIdentity {
    WatchIdentity { name: IdentityName::parse(name).unwrap(), looks_up: false, budget: 1e9 }
}

fn target(name: &str, identity: &str, selector: TargetSelector) -> TargetSettings {
    let (name, identity) = (TargetName::parse(name).unwrap(), IdentityName::parse(identity).unwrap());
    TargetSettings { name, identity, selector, poll_interval: Duration::from_secs(10) }
}

fn organizer(name: &str, identity: &str) -> TargetSettings {
    target(name, identity, TargetSelector::Organizer)
}

fn code(text: &str) -> TargetSelector {
    TargetSelector::MeetingCode(MeetingCode::parse(text).unwrap())
}

fn setup(targets: &[TargetSettings]) -> Setup {
    Setup {
        settings: WatchSettings::default(),
        targets: targets.to_vec(),
        identities: vec![identity("one"), identity("two")],
        routes: Vec::new(),
        internal_domains: Vec::new(),
        project_budget: 1e9,
    }
}

fn revision(setup: Setup) -> SchedulerInput {
    SchedulerInput::Reconfigured(Box::new(Revision {
        setup,
        remembered: Vec::new(),
        replaced: BTreeSet::new(),
        renamed: BTreeMap::new(),
    }))
}

fn conference() -> ConferenceName {
    ConferenceName::parse("conferenceRecords/c").unwrap()
}

fn record() -> Conference {
    let space = Some(SpaceName::parse("spaces/s").unwrap());
    Conference { name: conference(), space, start: Timestamp::UNIX_EPOCH, end: None, expire: None }
}

/// What Google shows: the meeting `abc-mnop-xyz` with Ada in it.
fn answer(read: &Read) -> Answer {
    let ada = || ParticipantName::parse("conferenceRecords/c/participants/ada").unwrap();
    let session = || Session {
        name: crate::model::SessionName::parse("conferenceRecords/c/participants/ada/participantSessions/1").unwrap(),
        start: Timestamp::UNIX_EPOCH,
        end: None,
    };
    match read {
        Read::Conference(_) => Answer::Conference(record()),
        Read::Conferences(filter) => Answer::Conferences(if filter.live { vec![record()] } else { Vec::new() }),
        Read::SpaceByCode(_) | Read::Space(_) => {
            let own = *read == Read::SpaceByCode(MeetingCode::parse("abc-mnop-xyz").unwrap())
                || *read == Read::Space(SpaceName::parse("spaces/s").unwrap());
            Answer::Space(Space {
                name: SpaceName::parse(if own { "spaces/s" } else { "spaces/other" }).unwrap(),
                meeting_code: own.then(|| MeetingCode::parse("abc-mnop-xyz").unwrap()),
                active_conference: own.then(conference),
            })
        }
        Read::Participants(..) => Answer::Participants(vec![Participant {
            name: ada(),
            kind: ParticipantKind::Anonymous,
            user: None,
            display_name: None,
            earliest_start: Some(Timestamp::UNIX_EPOCH),
            latest_end: None,
        }]),
        Read::Sessions(..) => Answer::Sessions(vec![session()]),
        other => unreachable!("the schedule never makes the read {other:?}"),
    }
}

impl Scene {
    fn new(setup: Setup) -> Self {
        let board = StatusBoard::default();
        let now = Now { mono: Duration::ZERO, wall: Timestamp::UNIX_EPOCH }.after(Duration::from_secs(1000));
        let backoff = Backoff::new(5 * SECOND, 2.0, 120 * SECOND, 0.2).unwrap();
        let limit = IntCounterVec::new(Opts::new("limit", "limit"), &["limit"]).unwrap();
        let metrics = WatchMetrics::new(&Registry::new(), limit).unwrap();
        let random = Random::with_seed(3);
        let scheduler = Scheduler::new(setup, Memory::default(), backoff, random, metrics, board.clone(), now);
        Self {
            scheduler,
            board,
            now,
            google_ahead: Duration::ZERO,
            reads: Vec::new(),
            commits: Vec::new(),
            failing_commits: 0,
            refuses_conferences: false,
        }
    }

    /// A scene in which the conference was found and Ada's join was emitted.
    fn watching(targets: &[TargetSettings]) -> Self {
        Self::watching_from(targets, Duration::ZERO)
    }

    /// The same with a clock of ours that is behind Google's.
    fn watching_from(targets: &[TargetSettings], google_ahead: Duration) -> Self {
        let mut scene = Self::new(setup(targets));
        scene.google_ahead = google_ahead;
        scene.pass(5);
        assert_eq!(scene.emitted(), ["conference.started", "session.started", "participant.joined"]);
        scene
    }

    /// Takes a step. Commits succeed at once.
    fn step(&mut self, input: SchedulerInput) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for command in self.scheduler.step(self.now, input) {
                match command {
                    SchedulerCommand::Read { key, identity, read, .. } => self.reads.push((key, identity, read)),
                    SchedulerCommand::Commit { key: key @ WorkKey::Target(_), .. } if self.failing_commits > 0 => {
                        self.failing_commits -= 1;
                        inputs.push(SchedulerInput::Committed(key, false));
                    }
                    SchedulerCommand::Commit { key: key @ WorkKey::Conference(_), .. } if self.refuses_conferences => {
                        inputs.push(SchedulerInput::Committed(key, false));
                    }
                    SchedulerCommand::Commit { key, commit } => {
                        self.commits.push(*commit);
                        inputs.push(SchedulerInput::Committed(key, true));
                    }
                }
            }
        }
    }

    fn google(&self) -> Timestamp {
        self.now.wall.checked_add(self.google_ahead).unwrap()
    }

    /// Answers every read, and every read that follows.
    fn answer_all(&mut self) {
        while !self.reads.is_empty() {
            let (key, _, read) = self.reads.remove(0);
            let reading = Reading::whole(answer(&read), Some(self.google()), 1);
            self.step(SchedulerInput::Answered(key, Ok(reading)));
        }
    }

    /// Lets time pass while every read is answered.
    fn pass(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.now = self.now.after(SECOND);
            self.step(SchedulerInput::Tick);
            self.answer_all();
        }
    }

    /// Lets time pass until there is a read with this key, which stays unanswered.
    fn until_asked(&mut self, key: &WorkKey) {
        let asked = (0..200).any(|_| {
            self.now = self.now.after(SECOND);
            self.step(SchedulerInput::Tick);
            let asked = self.reads.iter().any(|(asked, ..)| asked == key);
            if !asked {
                self.answer_all();
            }
            asked
        });
        assert!(asked, "nothing is asked about {key}");
    }

    fn emitted(&self) -> Vec<&'static str> {
        self.commits.iter().flat_map(|commit| &commit.events).map(|event| event.event.as_str()).collect()
    }

    fn reached_by(&self) -> Vec<String> {
        let board = self.board.read();
        board.conferences[&conference()].targets.iter().map(ToString::to_string).collect()
    }

    /// Returns the reads under way of a key, and their identities.
    fn asking(&self, key: &WorkKey) -> Vec<(&str, &Read)> {
        let about = self.reads.iter().filter(|(asked, ..)| asked == key);
        about.map(|(_, identity, read)| (identity.as_str(), read)).collect()
    }
}

fn of_target(name: &str) -> WorkKey {
    WorkKey::Target(TargetName::parse(name).unwrap())
}

fn of_conference() -> WorkKey {
    WorkKey::Conference(conference())
}

#[test]
fn a_target_that_is_added_is_asked_at_once_and_watched_since_then() {
    let mut scene = Scene::new(setup(&[]));
    scene.pass(100);
    scene.step(revision(setup(&[organizer("all", "one")])));
    assert_eq!(scene.asking(&of_target("all")).len(), 1);
    let added = scene.now.wall;
    scene.pass(5);
    let row = scene.commits.iter().flat_map(|commit| &commit.targets).next().unwrap();
    assert_eq!(row.watched_since, added);
    assert_eq!(scene.reached_by(), ["all"]);
}

#[test]
fn a_target_that_is_added_again_continues_from_its_row_and_reports_the_gap() {
    let mut scene = Scene::watching(&[target("board", "one", code("xyz-mnop-abc")), organizer("all", "one")]);
    let remembered: Vec<TargetRow> = scene
        .commits
        .iter()
        .flat_map(|commit| commit.targets.clone())
        .filter(|row| row.name.as_str() == "board")
        .collect();
    scene.step(revision(setup(&[organizer("all", "one")])));
    scene.pass(600);
    assert!(!scene.emitted().contains(&"watch.gap"));
    let back = setup(&[target("board", "one", code("xyz-mnop-abc")), organizer("all", "one")]);
    let again =
        Revision { setup: back, remembered: remembered.clone(), replaced: BTreeSet::new(), renamed: BTreeMap::new() };
    scene.step(SchedulerInput::Reconfigured(Box::new(again)));
    scene.pass(5);
    let gap = scene.commits.iter().flat_map(|commit| &commit.events).last().unwrap();
    assert!(gap.event.as_str() == "watch.gap" && gap.body.contains("not_configured"), "{}", gap.body);
    let row =
        scene.commits.iter().flat_map(|commit| &commit.targets).rfind(|row| row.name.as_str() == "board").unwrap();
    assert_eq!(row.watched_since, remembered[0].watched_since);
}

#[test]
fn a_live_conference_whose_target_is_gone_is_watched_to_its_end_for_no_target() {
    let mut scene = Scene::watching(&[organizer("all", "one")]);
    scene.step(revision(setup(&[])));
    assert_eq!(scene.reached_by(), Vec::<String>::new());
    scene.until_asked(&of_conference());
    assert_eq!(scene.asking(&of_conference())[0].0, "one");
    scene.pass(600);
    assert!(scene.board.read().targets.is_empty());
    assert!(scene.emitted().len() == 3, "nobody has left, and there was no gap: {:?}", scene.emitted());
    let row = scene.commits.iter().rev().find_map(|commit| commit.conference.as_ref()).unwrap();
    assert!(row.targets.is_empty(), "after a restart it is for no target either");
}

#[test]
fn a_conference_without_events_is_forgotten_with_its_target() {
    let mut scene = Scene::new(setup(&[organizer("all", "one")]));
    scene.step(SchedulerInput::Tick);
    let (key, _, read) = scene.reads.remove(0);
    scene.step(SchedulerInput::Answered(key, Ok(Reading::whole(answer(&read), None, 1))));
    assert_eq!(scene.scheduler.conferences().len(), 1);
    scene.step(revision(setup(&[])));
    assert!(scene.scheduler.conferences().is_empty());
    scene.pass(60);
    assert!(scene.emitted().is_empty());
}

#[test]
fn a_target_under_another_name_is_the_same_target() {
    for what in [TargetSelector::Organizer, code("abc-mnop-xyz")] {
        let mut scene = Scene::watching(&[target("old", "one", what.clone())]);
        let first = scene.commits.iter().flat_map(|commit| &commit.targets).next().unwrap().clone();
        scene.step(revision(setup(&[target("new", "one", what)])));
        assert_eq!(scene.reached_by(), ["new"], "at once, not when it was asked");
        scene.pass(5);
        let row = scene.commits.iter().flat_map(|commit| &commit.targets).last().unwrap();
        assert_eq!((row.name.as_str(), row.watched_since), ("new", first.watched_since));
        assert_eq!(scene.emitted().len(), 3, "{:?}", scene.emitted());
    }
}

#[test]
fn two_targets_that_swap_names_keep_their_state() {
    let (one, two) = (code("abc-mnop-xyz"), code("xyz-mnop-abc"));
    let mut scene = Scene::watching(&[target("a", "one", one.clone()), target("b", "one", two.clone())]);
    assert_eq!(scene.reached_by(), ["a"]);
    scene.step(revision(setup(&[target("a", "one", two), target("b", "one", one)])));
    assert_eq!(scene.reached_by(), ["b"]);
    scene.pass(60);
    assert_eq!(scene.reached_by(), ["b"]);
}

#[test]
fn an_answer_to_a_read_of_the_settings_before_is_discarded() {
    let mut scene = Scene::new(setup(&[target("board", "one", code("abc-mnop-xyz"))]));
    scene.step(SchedulerInput::Tick);
    let (key, _, read) = scene.reads.remove(0);
    let other = code("xyz-mnop-abc");
    scene.step(revision(setup(&[target("board", "one", other)])));
    assert!(scene.asking(&key).is_empty(), "one question at a time");
    scene.step(SchedulerInput::Answered(key.clone(), Ok(Reading::whole(answer(&read), None, 1))));
    assert!(scene.scheduler.conferences().is_empty());
    let asked = Read::SpaceByCode(MeetingCode::parse("xyz-mnop-abc").unwrap());
    assert_eq!(scene.asking(&key), [("one", &asked)]);
}

#[test]
fn a_shorter_interval_applies_at_once_and_an_answer_under_way_is_used() {
    let slow = TargetSettings { poll_interval: 3600 * SECOND, ..organizer("all", "one") };
    let mut scene = Scene::watching(&[slow]);
    scene.pass(60);
    scene.step(revision(setup(&[organizer("all", "one")])));
    let listed = scene.reads.iter().any(|(_, _, read)| matches!(read, Read::Participants(..)));
    assert!(listed, "an hour is not waited for: {:?}", scene.reads);
    scene.step(revision(setup(&[organizer("all", "one")])));
    let before = scene.reads.len();
    scene.answer_all();
    scene.step(SchedulerInput::Tick);
    assert!(scene.reads.is_empty() && before > 0, "what was asked is not asked twice: {:?}", scene.reads);
}

#[test]
fn filters_decide_when_an_event_is_committed() {
    let mut scene = Scene::watching(&[organizer("all", "one")]);
    let name = crate::model::EndpointName::parse("ops").unwrap();
    let route = Route {
        endpoint: name.clone(),
        events: Vec::new(),
        kinds: Vec::new(),
        targets: Vec::new(),
        provenance: Vec::new(),
    };
    scene.step(revision(Setup { routes: vec![route], ..setup(&[organizer("all", "one")]) }));
    scene.until_asked(&of_conference());
    scene.reads.clear();
    let gone = Conference { end: Some(scene.now.wall), ..record() };
    // The record is read when discovery no longer shows the conference.
    scene.until_asked(&of_target("all"));
    let reading = |answer| Ok(Reading::whole(answer, None, 1));
    scene.step(SchedulerInput::Answered(of_target("all"), reading(Answer::Conferences(Vec::new()))));
    scene.step(SchedulerInput::Answered(
        of_conference(),
        reading(answer(&Read::Participants(conference(), crate::meet::ParticipantFilter::Active))),
    ));
    for _ in 0..50 {
        scene.now = scene.now.after(SECOND);
        scene.step(SchedulerInput::Tick);
        while !scene.reads.is_empty() {
            let (key, _, read) = scene.reads.remove(0);
            let said =
                if matches!(read, Read::Conference(_)) { Answer::Conference(gone.clone()) } else { answer(&read) };
            scene.step(SchedulerInput::Answered(key, reading(said)));
        }
    }
    let events: Vec<_> = scene.commits.iter().flat_map(|commit| &commit.events).collect();
    assert!(events[..3].iter().all(|event| event.owed_to.is_empty()));
    assert!(
        events.len() > 3 && events[3..].iter().all(|event| event.owed_to == [name.clone()]),
        "{:?}",
        scene.emitted()
    );
}
