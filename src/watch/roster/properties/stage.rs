//! One conference that anything may be observed of, and what has to hold after each observation.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::clock::{Mono, Now};
use crate::model::{
    Conference, ConferenceName, Event, EventId, EventType, IdentityName, Kind, Participant, ParticipantName,
    Provenance, Session, SessionName, Source,
};
use crate::watch::roster::presence::{Stretch, unite};
use crate::watch::roster::stored::stored;
use crate::watch::roster::{Directory, Moment, Observation, Person, Roster, Rules, Seen, Told};

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
        kind: Kind::Anonymous,
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

/// What is known and told, in a form that can be compared: nothing of when to read again.
pub(super) type Facts = BTreeSet<(EventType, Option<ParticipantName>, Option<SessionName>, Timestamp, Source)>;

/// Who was listed when, kept apart from the roster's own account of it.
#[derive(Debug, Clone)]
struct Listing {
    by: IdentityName,
    /// When it showed the person last, by Google's clock.
    shown: Timestamp,
    /// When listings under the same identity missed the person since.
    missed: Vec<Mono>,
    /// How often Google said since that there is no such participant.
    refused: usize,
}

pub(super) struct Stage {
    pub(super) roster: Roster,
    pub(super) log: Vec<Told>,
    pub(super) now: i64,
    rules: Rules,
    listings: BTreeMap<ParticipantName, Listing>,
    last_listing: Option<Timestamp>,
}

impl Stage {
    pub(super) fn new(grace: u64) -> Self {
        let name = ConferenceName::parse(CONFERENCE).unwrap();
        let mut stage = Self {
            roster: Roster::new(name, None, None, at(0)),
            log: Vec::new(),
            now: 0,
            rules: Rules::new(INTERVAL, Duration::from_secs(60), Duration::from_secs(grace)),
            listings: BTreeMap::new(),
            last_listing: None,
        };
        stage.see(false, Seen::Record(record(0, None)));
        stage
    }

    fn mono(&self) -> Mono {
        Duration::from_secs(u64::try_from(self.now).unwrap() + 1000)
    }

    /// Observes, and holds what came of it to every rule.
    pub(super) fn see(&mut self, other: bool, seen: Seen) -> Vec<Told> {
        let by = IdentityName::parse(if other { "two" } else { "one" }).unwrap();
        let moment = Moment { now: Now { mono: self.mono(), wall: at(self.now) }, google: at(self.now) };
        let observation = Observation { moment, by: by.clone(), seen };
        let before = self.roster.clone();
        let outcome = before.observe(&observation, &Directory::default(), &self.rules);
        let again = outcome.roster.observe(&observation, &Directory::default(), &self.rules);
        assert_eq!(again.told, Vec::new(), "the same twice tells nothing twice: {observation:?}");
        assert_eq!(format!("{:?}", again.roster), format!("{:?}", outcome.roster), "the same twice changes nothing");
        assert!(
            !outcome.told.is_empty() || told_of(&outcome.roster) == told_of(&before),
            "what was told changed and nothing was told"
        );
        if matches!(&observation.seen, Seen::Unreadable { .. } | Seen::Lost) {
            assert_eq!(outcome.told, Vec::new(), "what is not committed tells nothing");
        }
        self.note_listing(&observation, &outcome.told);
        self.roster = outcome.roster;
        self.check_conclusions(&before, &observation, &outcome.told);
        self.log.extend(outcome.told.clone());
        check_growth(&before, &self.roster);
        self.check();
        outcome.told
    }

    /// What holds of the roster and its log after every observation.
    fn check(&self) {
        let present = self.roster.people().values().filter(|person| person.is_present()).count();
        assert_eq!(usize::try_from(self.roster.present()).unwrap(), present, "the count of those present");
        check_log(&self.log);
        assert_eq!(standing(&self.log), told_of(&self.roster), "the log, corrections applied, is what was told");
        for person in self.roster.people().values() {
            check_presences(person);
        }
        let restored = self.restored();
        assert_eq!(kept(&restored), kept(&self.roster), "a restart changes nothing");
    }

    /// The roster as another process finds it.
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

    fn note_listing(&mut self, observation: &Observation, told: &[Told]) {
        let Observation { moment, by, seen } = observation;
        if let Seen::Unreadable { participant, gone: true } = seen {
            self.listings.entry(participant.clone()).and_modify(|listing| listing.refused += 1);
        }
        let takes_over = self.roster.listed().is_some_and(|before| before.by.as_ref() != Some(by));
        let Seen::Active { participants, .. } = seen else { return };
        let gap = told.iter().any(|told| told.event.event == EventType::WatchGap);
        let shown: BTreeSet<_> = participants.iter().map(|read| read.name.clone()).collect();
        let before = self.last_listing.replace(moment.google).unwrap_or(at(0));
        for name in self.roster.people().keys().cloned().chain(shown.clone()).collect::<BTreeSet<_>>() {
            let listing = self.listings.entry(name.clone()).or_insert_with(|| Listing {
                by: by.clone(),
                shown: before,
                missed: Vec::new(),
                refused: 0,
            });
            if gap || takes_over {
                (listing.missed, listing.refused) = (Vec::new(), 0);
            }
            if shown.contains(&name) {
                *listing = Listing { by: by.clone(), shown: moment.google, missed: Vec::new(), refused: 0 };
            } else if listing.by == *by {
                listing.missed.push(moment.now.mono);
            }
        }
    }

    /// Nobody is concluded to have left before the grace is over, three listings missed them, and the conference is seen
    /// to go on in that very round.
    fn check_conclusions(&self, before: &Roster, observation: &Observation, told: &[Told]) {
        let inferred = |name| {
            let presences = before.people().get(name).map_or(&[][..], |person| &person.presences);
            presences.iter().filter_map(|one| one.left.as_ref()).any(|left| left.telling.source == Source::Inferred)
        };
        let leaves = told.iter().filter(|told| {
            (told.event.event, told.source) == (EventType::ParticipantLeft, Source::Inferred)
                && !matches!(observation.seen, Seen::Complete)
        });
        for told in leaves {
            let name = &told.event.participant.as_ref().unwrap().name;
            if inferred(name) || before.record().end.is_some() {
                // Concluded before, or with the conference's end, and moved by what is learnt of the person now.
                continue;
            }
            assert!(matches!(&observation.seen, Seen::Record(record) if record.end.is_none()), "{observation:?}");
            let listing = &self.listings[name];
            assert!(listing.missed.len() >= 3, "{listing:?}");
            let long_enough = self.mono() - listing.missed[0] >= self.rules.leave_grace;
            assert!(long_enough || listing.refused >= 3, "{listing:?} at {}", self.now);
            assert!(told.event.time >= listing.shown, "{listing:?}");
        }
    }
}

/// What a roster says was told and stands.
pub(super) fn told_of(roster: &Roster) -> Facts {
    let mut facts = Facts::new();
    let record = roster.record();
    for (event, told) in [(EventType::ConferenceStarted, record.started), (EventType::ConferenceEnded, record.ended)] {
        facts.extend(told.map(|told| (event, None, None, told.time, told.source)));
    }
    for (name, person) in roster.people() {
        let mut insert = |event, session: Option<&SessionName>, time, source| {
            facts.insert((event, Some(name.clone()), session.cloned(), time, source));
        };
        for session in person.sessions() {
            for (event, told) in
                [(EventType::SessionStarted, session.started), (EventType::SessionEnded, session.ended)]
            {
                if let Some(told) = told {
                    insert(event, Some(&session.name), told.time, told.source);
                }
            }
        }
        for presence in &person.presences {
            let joined = &presence.joined;
            insert(EventType::ParticipantJoined, joined.session.as_ref(), joined.telling.time, joined.telling.source);
            if let Some(left) = &presence.left {
                insert(EventType::ParticipantLeft, left.session.as_ref(), left.telling.time, left.telling.source);
            }
        }
    }
    facts
}

/// The log with its corrections applied.
pub(super) fn standing(log: &[Told]) -> Facts {
    let taken_back: BTreeSet<_> = log.iter().filter_map(|told| told.takes_back.as_ref()).collect();
    let stands = log.iter().filter(|told| !taken_back.contains(&told.event.id));
    let facts = stands.filter(|told| !matches!(told.event.event, EventType::WatchGap | EventType::EventRetracted));
    facts.map(|told| fact(&told.event, told.source)).collect()
}

fn fact(event: &Event, source: Source) -> (EventType, Option<ParticipantName>, Option<SessionName>, Timestamp, Source) {
    let participant = event.participant.as_ref().map(|person| person.name.clone());
    (event.event, participant, event.session.as_ref().map(|session| session.name.clone()), event.time, source)
}

/// What survives a restart.
fn kept(roster: &Roster) -> String {
    let people: Vec<_> = roster.people().iter().map(|(name, person)| (name, kept_of(person))).collect();
    let mut record = roster.record().clone();
    record.withdrawn.sort_by_key(|one| format!("{one:?}"));
    let (sequence, present, late, blind) = (roster.sequence, roster.present, roster.late, &roster.blind);
    format!("{record:?} {people:#?} {sequence} {present} {late} {blind:?}")
}

fn kept_of(person: &Person) -> String {
    let mut sessions: Vec<_> = person.sessions().iter().collect();
    sessions.sort_by(|a, b| a.name.cmp(&b.name));
    let mut withdrawn: Vec<_> = person.withdrawn.iter().map(|one| format!("{one:?}")).collect();
    withdrawn.sort();
    let who = (person.kind, &person.user, &person.display_name, &person.email, person.affiliation);
    // Of somebody who is not there it does not matter who saw them last, or when.
    let seen = person.seen_by().filter(|_| person.is_present()).map(|by| (by, person.last_seen));
    let times = (person.earliest_start, person.latest_end, seen);
    format!("{who:?} {times:?} {sessions:?} {:?} {withdrawn:?}", person.presences)
}

/// Sequence without a hole, ids unique, the running count, corrections of what was told and stood.
fn check_log(log: &[Told]) {
    let mut told_before: BTreeMap<&EventId, (&Told, bool)> = BTreeMap::new();
    let mut present = 0_i64;
    for (number, told) in (1..).zip(log) {
        let event = &told.event;
        assert_eq!(event.sequence, Some(number), "a hole in the sequence");
        assert!(event.observed_at >= event.time, "observed before it happened");
        let inferred = event.provenance == Provenance::Inferred;
        assert_eq!(inferred, told.source == Source::Inferred, "{event:?}");
        let about = told.takes_back.as_ref().map(|id| {
            let (earlier, stood) = told_before.get_mut(id).expect("only what was told is taken back");
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
        assert!(told_before.insert(&event.id, (told, true)).is_none(), "an id twice: {event:?}");
    }
}

/// Joins and leaves are the edges of the union of the sessions.
fn check_presences(person: &Person) {
    for session in person.sessions() {
        let told = (session.started.map(|told| told.time), session.ended.map(|told| (told.time, told.source)));
        assert_eq!(told, (Some(session.start), session.end), "{person:?}");
    }
    if person.sessions().is_empty() {
        assert!(person.presences.len() <= 1, "{person:?}");
        return;
    }
    let stretch = |session: &'_ _| {
        let crate::watch::roster::Known { start, end, .. } = *session;
        Stretch { session: None, start, end }
    };
    let united: Vec<_> = unite(person.sessions().iter().map(stretch)).iter().map(|one| (one.start, one.end)).collect();
    let told: Vec<_> = person
        .presences
        .iter()
        .map(|one| (one.joined.telling.time, one.left.as_ref().map(|left| (left.telling.time, left.telling.source))))
        .collect();
    assert_eq!(told, united);
}

/// Knowledge only grows.
fn check_growth(before: &Roster, after: &Roster) {
    let google = |end: Option<(Timestamp, Source)>| end.filter(|(_, source)| *source == Source::Google);
    assert!(after.record().start <= before.record().start);
    assert!(google(after.record().end) >= google(before.record().end));
    for (name, old) in before.people() {
        let new = after.people().get(name).expect("nobody is forgotten");
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
