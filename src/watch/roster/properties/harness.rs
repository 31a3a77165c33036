//! One conference of which anything may be observed, and what has to hold after each observation.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::clock::{Mono, Now};
use crate::model::{
    Conference, ConferenceName, Event, EventId, EventType, IdentityName, Participant, ParticipantKind, ParticipantName,
    Provenance, Session, SessionName, Source,
};
use crate::watch::roster::presence::{SessionInterval, unite};
use crate::watch::roster::stored::stored;
use crate::watch::roster::{Directory, EmittedEvent, Moment, Observation, ParticipantState, Roster, RosterRules, Seen};

pub(super) const CONFERENCE: &str = "conferenceRecords/c";
pub(super) const PEOPLE: u8 = 3;
const INTERVAL: Duration = Duration::from_secs(10);

/// Seconds after ten o'clock.
pub(super) fn at(seconds: i64) -> Timestamp {
    "2026-01-05T10:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

pub(super) fn person(number: u8) -> ParticipantName {
    ParticipantName::parse(&format!("{CONFERENCE}/participants/p{number}")).unwrap()
}

pub(super) fn session(owner: u8, number: u8, start: i64, end: Option<i64>) -> Session {
    let name = SessionName::parse(&format!("{}/participantSessions/s{number}", person(owner))).unwrap();
    Session { name, start: at(start), end: end.map(at) }
}

pub(super) fn participant(number: u8, start: i64, end: Option<i64>) -> Participant {
    Participant {
        name: person(number),
        kind: ParticipantKind::Anonymous,
        user: None,
        display_name: Some(format!("{number}").into()),
        earliest_start: Some(at(start)),
        latest_end: end.map(at),
    }
}

pub(super) fn record(start: i64, end: Option<i64>) -> Conference {
    let name = ConferenceName::parse(CONFERENCE).unwrap();
    Conference { name, space: None, start: at(start), end: end.map(at), expire: None }
}

/// What is known and emitted, in a form that can be compared. It says nothing of rechecks.
pub(super) type Facts = BTreeSet<(EventType, Option<ParticipantName>, Option<SessionName>, Timestamp, Source)>;

/// Who was listed when, recorded independently of the roster.
#[derive(Debug, Clone)]
struct ListingRecord {
    by: IdentityName,
    /// The last listing that showed the participant, by Google's clock.
    shown: Timestamp,
    /// When listings by the same identity missed the participant since.
    missed: Vec<Mono>,
    /// How often Google said since that there is no such participant.
    refused: usize,
}

pub(super) struct Harness {
    pub(super) roster: Roster,
    pub(super) log: Vec<EmittedEvent>,
    pub(super) now: i64,
    rules: RosterRules,
    listings: BTreeMap<ParticipantName, ListingRecord>,
    last_listing: Option<Timestamp>,
}

impl Harness {
    pub(super) fn new(grace: u64) -> Self {
        let name = ConferenceName::parse(CONFERENCE).unwrap();
        let mut stage = Self {
            roster: Roster::new(name, None, None, at(0)),
            log: Vec::new(),
            now: 0,
            rules: RosterRules::new(INTERVAL, Duration::from_secs(60), Duration::from_secs(grace)),
            listings: BTreeMap::new(),
            last_listing: None,
        };
        stage.see(false, Seen::Record(record(0, None)));
        stage
    }

    fn mono(&self) -> Mono {
        Duration::from_secs(u64::try_from(self.now).unwrap() + 1000)
    }

    /// Makes an observation, and checks the result against every rule.
    pub(super) fn see(&mut self, other: bool, seen: Seen) -> Vec<EmittedEvent> {
        self.see_as(other, seen, true)
    }

    /// As [`Harness::see`], of an answer that could be read completely or in part.
    pub(super) fn see_as(&mut self, other: bool, seen: Seen, complete: bool) -> Vec<EmittedEvent> {
        let by = IdentityName::parse(if other { "two" } else { "one" }).unwrap();
        let moment = Moment { now: Now { mono: self.mono(), wall: at(self.now) }, google: at(self.now) };
        let observation = Observation { moment, by: by.clone(), seen, complete };
        let before = self.roster.clone();
        let outcome = before.observe(&observation, &Directory::default(), &self.rules);
        let again = outcome.roster.observe(&observation, &Directory::default(), &self.rules);
        assert_eq!(again.emitted, Vec::new(), "the same observation twice emits nothing twice: {observation:?}");
        assert_eq!(format!("{:?}", again.roster), format!("{:?}", outcome.roster), "the same twice changes nothing");
        assert!(
            !outcome.emitted.is_empty() || emitted_facts(&outcome.roster) == emitted_facts(&before),
            "the emitted facts changed and nothing was emitted"
        );
        if matches!(&observation.seen, Seen::Unreadable { .. } | Seen::GivenUp) {
            assert_eq!(outcome.emitted, Vec::new(), "what is not committed emits nothing");
        }
        self.note_listing(&observation, &outcome.emitted);
        self.roster = outcome.roster;
        self.check_conclusions(&before, &observation, &outcome.emitted);
        self.log.extend(outcome.emitted.clone());
        check_growth(&before, &self.roster);
        self.check();
        outcome.emitted
    }

    /// Checks what holds of the roster and its log after every observation.
    fn check(&self) {
        let present = self.roster.participants().values().filter(|person| person.is_present()).count();
        assert_eq!(usize::try_from(self.roster.present()).unwrap(), present, "the count of those present");
        check_log(&self.log);
        assert_eq!(
            standing(&self.log),
            emitted_facts(&self.roster),
            "the log with its corrections applied equals the emitted facts"
        );
        for person in self.roster.participants().values() {
            check_presences(person);
        }
        let restored = self.restored();
        assert_eq!(kept(&restored), kept(&self.roster), "a restart changes nothing");
    }

    /// Returns the roster as another process would restore it.
    fn restored(&self) -> Roster {
        let identity = self.roster.listed().and_then(|listed| listed.by.clone());
        let identity = identity.unwrap_or_else(|| IdentityName::parse("one").unwrap());
        let stored = stored(&self.roster, &self.log, &identity);
        Roster::restore(stored, self.mono())
    }

    pub(super) fn restart(&mut self) {
        self.roster = self.restored();
        for listing in self.listings.values_mut() {
            (listing.missed, listing.refused) = (Vec::new(), 0);
        }
    }

    fn note_listing(&mut self, observation: &Observation, emitted: &[EmittedEvent]) {
        let Observation { moment, by, seen, complete } = observation;
        if let Seen::Unreadable { participant, not_found: true } = seen {
            self.listings.entry(participant.clone()).and_modify(|listing| listing.refused += 1);
        }
        let takes_over = self.roster.listed().is_some_and(|before| before.by.as_ref() != Some(by));
        let Seen::Active { participants, .. } = seen else { return };
        let gap = emitted.iter().any(|emitted| emitted.event.event == EventType::WatchGap);
        let shown: BTreeSet<_> = participants.iter().map(|read| read.name.clone()).collect();
        let before = self.last_listing.replace(moment.google).unwrap_or(at(0));
        for name in self.roster.participants().keys().cloned().chain(shown.clone()).collect::<BTreeSet<_>>() {
            let listing = self.listings.entry(name.clone()).or_insert_with(|| ListingRecord {
                by: by.clone(),
                shown: before,
                missed: Vec::new(),
                refused: 0,
            });
            if gap || takes_over {
                (listing.missed, listing.refused) = (Vec::new(), 0);
            }
            if shown.contains(&name) {
                *listing = ListingRecord { by: by.clone(), shown: moment.google, missed: Vec::new(), refused: 0 };
            } else if *complete && listing.by == *by {
                listing.missed.push(moment.now.mono);
            }
        }
    }

    /// Checks that no leave is inferred before the grace is over and three listings missed the participant, and only with a
    /// record that shows in that round that the conference goes on.
    fn check_conclusions(&self, before: &Roster, observation: &Observation, emitted: &[EmittedEvent]) {
        let inferred = |name| {
            let presences = before.participants().get(name).map_or(&[][..], |person| &person.presences);
            presences.iter().filter_map(|one| one.left.as_ref()).any(|left| left.emission.source == Source::Inferred)
        };
        let leaves = emitted.iter().filter(|emitted| {
            (emitted.event.event, emitted.source) == (EventType::ParticipantLeft, Source::Inferred)
                && !matches!(observation.seen, Seen::Complete)
        });
        for emitted in leaves {
            let name = &emitted.event.participant.as_ref().unwrap().name;
            if inferred(name) || before.record().end.is_some() {
                // It was inferred before, or with the conference's end, and moved by what is learnt now.
                continue;
            }
            assert!(matches!(&observation.seen, Seen::Record(record) if record.end.is_none()), "{observation:?}");
            let listing = &self.listings[name];
            assert!(listing.missed.len() >= 3, "{listing:?}");
            let long_enough = self.mono() - listing.missed[0] >= self.rules.leave_grace;
            assert!(long_enough || listing.refused >= 3, "{listing:?} at {}", self.now);
            assert!(emitted.event.time >= listing.shown, "{listing:?}");
        }
    }
}

/// Returns what the roster has emitted and not withdrawn.
pub(super) fn emitted_facts(roster: &Roster) -> Facts {
    let mut facts = Facts::new();
    let record = roster.record();
    for (event, emitted) in [(EventType::ConferenceStarted, record.started), (EventType::ConferenceEnded, record.ended)]
    {
        facts.extend(emitted.map(|emitted| (event, None, None, emitted.time, emitted.source)));
    }
    for (name, person) in roster.participants() {
        let mut insert = |event, session: Option<&SessionName>, time, source| {
            facts.insert((event, Some(name.clone()), session.cloned(), time, source));
        };
        for session in person.sessions() {
            for (event, emitted) in
                [(EventType::SessionStarted, session.started), (EventType::SessionEnded, session.ended)]
            {
                if let Some(emitted) = emitted {
                    insert(event, Some(&session.name), emitted.time, emitted.source);
                }
            }
        }
        for presence in &person.presences {
            let joined = &presence.joined;
            insert(EventType::ParticipantJoined, joined.session.as_ref(), joined.emission.time, joined.emission.source);
            if let Some(left) = &presence.left {
                insert(EventType::ParticipantLeft, left.session.as_ref(), left.emission.time, left.emission.source);
            }
        }
    }
    facts
}

/// Returns the log with its corrections applied.
pub(super) fn standing(log: &[EmittedEvent]) -> Facts {
    let taken_back: BTreeSet<_> = log.iter().filter_map(|emitted| emitted.takes_back.as_ref()).collect();
    let stands = log.iter().filter(|emitted| !taken_back.contains(&emitted.event.id));
    let facts =
        stands.filter(|emitted| !matches!(emitted.event.event, EventType::WatchGap | EventType::EventRetracted));
    facts.map(|emitted| fact(&emitted.event, emitted.source)).collect()
}

fn fact(event: &Event, source: Source) -> (EventType, Option<ParticipantName>, Option<SessionName>, Timestamp, Source) {
    let participant = event.participant.as_ref().map(|person| person.name.clone());
    (event.event, participant, event.session.as_ref().map(|session| session.name.clone()), event.time, source)
}

/// Returns what survives a restart.
fn kept(roster: &Roster) -> String {
    let people: Vec<_> = roster.participants().iter().map(|(name, person)| (name, kept_of(person))).collect();
    let mut record = roster.record().clone();
    record.withdrawn.sort_by_key(|one| format!("{one:?}"));
    let (sequence, present, late, unobserved) =
        (roster.sequence, roster.present, roster.end_outdated, &roster.unobserved);
    format!("{record:?} {people:#?} {sequence} {present} {late} {unobserved:?}")
}

fn kept_of(person: &ParticipantState) -> String {
    let mut sessions: Vec<_> = person.sessions().iter().collect();
    sessions.sort_by(|a, b| a.name.cmp(&b.name));
    let mut withdrawn: Vec<_> = person.withdrawn.iter().map(|one| format!("{one:?}")).collect();
    withdrawn.sort();
    let who = (person.kind, &person.user, &person.display_name, &person.email, person.affiliation);
    // For somebody who is absent it does not matter who saw them last, or when.
    let seen = person.seen_by().filter(|_| person.is_present()).map(|by| (by, person.last_seen));
    let times = (person.earliest_start, person.latest_end, seen);
    format!("{who:?} {times:?} {sessions:?} {:?} {withdrawn:?}", person.presences)
}

/// Checks that the sequence has no hole, ids are unique, the running count is right, and corrections name events that
/// stood.
fn check_log(log: &[EmittedEvent]) {
    let mut emitted_before: BTreeMap<&EventId, (&EmittedEvent, bool)> = BTreeMap::new();
    let mut present = 0_i64;
    for (number, emitted) in (1..).zip(log) {
        let event = &emitted.event;
        assert_eq!(event.sequence, Some(number), "a hole in the sequence");
        assert!(event.observed_at >= event.time, "observed before it happened");
        let inferred = event.provenance == Provenance::Inferred;
        assert_eq!(inferred, emitted.source == Source::Inferred, "{event:?}");
        let about = emitted.takes_back.as_ref().map(|id| {
            let (earlier, stood) = emitted_before.get_mut(id).expect("only an event that was emitted is withdrawn");
            assert!(std::mem::take(stood), "taken back twice: {event:?}");
            let (then, now) = (&earlier.event, event);
            assert_eq!(then.participant.as_ref().map(|p| &p.name), now.participant.as_ref().map(|p| &p.name));
            if now.event == EventType::EventRetracted {
                assert_eq!(then.session.as_ref().map(|s| &s.name), now.session.as_ref().map(|s| &s.name));
                assert_eq!((&now.retracts, &now.corrects), (&Some(id.clone()), &None));
            } else {
                assert_eq!(then.event, now.event, "a correction is of the same type");
                assert_eq!((&now.retracts, &now.corrects), (&None, &Some(id.clone())));
            }
            then.event
        });
        present += match (event.event, about) {
            (EventType::ParticipantJoined, None) | (EventType::EventRetracted, Some(EventType::ParticipantLeft)) => 1,
            (EventType::ParticipantLeft, None) | (EventType::EventRetracted, Some(EventType::ParticipantJoined)) => -1,
            _ => 0,
        };
        assert_eq!(event.present.map(i64::from), Some(present.max(0)), "{event:?}");
        assert!(emitted_before.insert(&event.id, (emitted, true)).is_none(), "an id twice: {event:?}");
    }
}

/// Checks that joins and leaves are the edges of the union of the sessions, of which those that Google did not end are ended by
/// the participant resource.
fn check_presences(person: &ParticipantState) {
    for session in person.sessions() {
        let emitted =
            (session.started.map(|emitted| emitted.time), session.ended.map(|emitted| (emitted.time, emitted.source)));
        assert_eq!(emitted, (Some(session.start), session.end), "{person:?}");
    }
    if person.sessions().is_empty() {
        assert!(person.presences.len() <= 1, "{person:?}");
        return;
    }
    let google = |end: Option<(Timestamp, Source)>| end.filter(|(_, source)| *source == Source::Google);
    let outlasted = |shown: &Timestamp| {
        let mut begun = person.sessions().iter().filter(|session| session.start <= *shown);
        begun.any(|session| google(session.end).is_some_and(|(end, _)| end > *shown))
    };
    let shown = person.latest_end.filter(|shown| !outlasted(shown)).map(|shown| (shown, Source::Google));
    let stretch = |session: &'_ _| {
        let crate::watch::roster::SessionState { start, end, .. } = *session;
        // Google shows an end of the participant once no session is open.
        let shown = shown.filter(|(shown, _)| start <= *shown);
        let end = google(end).or(end.filter(|(end, _)| shown.is_none_or(|(shown, _)| *end > shown))).or(shown);
        SessionInterval { session: None, start, end }
    };
    let united: Vec<_> = unite(person.sessions().iter().map(stretch)).iter().map(|one| (one.start, one.end)).collect();
    let emitted: Vec<_> = person
        .presences
        .iter()
        .map(|one| (one.joined.emission.time, one.left.as_ref().map(|left| (left.emission.time, left.emission.source))))
        .collect();
    if person.sessions_incomplete {
        // The last leave may be held back, or follow from more than the sessions that are known.
        let starts = |presences: &[(Timestamp, _)]| presences.iter().map(|(start, _)| *start).collect::<Vec<_>>();
        assert_eq!(starts(&emitted), starts(&united));
        return;
    }
    assert_eq!(emitted, united);
}

/// Checks that knowledge only grows.
fn check_growth(before: &Roster, after: &Roster) {
    let google = |end: Option<(Timestamp, Source)>| end.filter(|(_, source)| *source == Source::Google);
    assert!(after.record().start <= before.record().start);
    assert!(google(after.record().end) >= google(before.record().end));
    for (name, old) in before.participants() {
        let new = after.participants().get(name).expect("nobody is forgotten");
        assert!(new.latest_end >= old.latest_end);
        assert!(old.earliest_start.is_none() || new.earliest_start <= old.earliest_start);
        for session in old.sessions() {
            let known =
                new.sessions().iter().find(|known| known.name == session.name).expect("no session is forgotten");
            assert!(known.start <= session.start);
            assert!(google(known.end) >= google(session.end), "{session:?} became {known:?}");
            assert!(known.end.is_none_or(|(end, _)| end >= known.start), "{known:?}");
        }
    }
}
