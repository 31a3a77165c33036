//! What shows of the world at one moment: the truth, less what lags and what has expired.

use jiff::SignedDuration;
use jiff::Timestamp;

use crate::meet::wire;
use crate::model::ParticipantKind;
use crate::sim::faults::Lag;
use crate::sim::world::{Conference, ConferenceKey, Participant, Session, World};

/// How long Google keeps what is over.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The world as it shows now.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'w> {
    pub(super) world: &'w World,
    pub(super) now: Timestamp,
    pub(super) lag: Lag,
}

/// The times of a participant that show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) start: Timestamp,
    pub(super) end: Option<Timestamp>,
}

impl<'w> View<'w> {
    /// A conference that shows, by id.
    pub(super) fn conference(&self, id: &str) -> Option<(ConferenceKey, &'w Conference)> {
        let key = self.world.conference_by_id(id)?;
        let conference = self.world.conference(key);
        self.shows(conference).then_some((key, conference))
    }

    /// Whether a conference shows: not before its lag is over, not after it has expired.
    pub(super) fn shows(&self, conference: &Conference) -> bool {
        let expired = conference.end.is_some_and(|end| expiry(end) <= self.now);
        !expired && self.lag.shows(conference.name.as_str(), conference.start, self.lag.conference, self.now)
    }

    /// The end of a conference, once it shows.
    pub(super) fn conference_end(&self, conference: &Conference) -> Option<Timestamp> {
        let end = conference.end?;
        self.lag.shows(conference.name.as_str(), end, self.lag.conference_end, self.now).then_some(end)
    }

    /// The times of a participant, once it shows.
    pub(super) fn participant(&self, participant: &Participant) -> Option<Times> {
        let mut times: Option<Times> = None;
        for (number, session) in participant.sessions.iter().enumerate() {
            if !self.has_begun(number, session) {
                if number == 0 {
                    return None;
                }
                continue;
            }
            let end = self.session_end(session);
            times = Some(match times {
                None => Times { start: session.start, end },
                Some(before) => Times { start: before.start, end: before.end.zip(end).map(|(a, b)| a.max(b)) },
            });
        }
        times
    }

    /// Whether the nth session of a participant shows as a resource of its own. Its participant shows then too.
    pub(super) fn session(&self, number: usize, session: &Session) -> bool {
        let also = if number == 0 { self.lag.participant } else { self.lag.rejoin };
        let lag = self.lag.session + also;
        self.has_begun(number, session) && self.lag.shows(session.name.as_str(), session.start, lag, self.now)
    }

    /// The end of a session, once it shows.
    pub(super) fn session_end(&self, session: &Session) -> Option<Timestamp> {
        let end = session.end?;
        let shows = |lag| self.lag.shows(session.name.as_str(), end, lag, self.now);
        if !shows(self.lag.leave) {
            return None;
        }
        let early = !self.lag.true_end.is_zero() && !shows(self.lag.leave + self.lag.true_end);
        Some(if early { too_early(session.start, end) } else { end })
    }

    fn has_begun(&self, number: usize, session: &Session) -> bool {
        let lag = if number == 0 { self.lag.participant } else { self.lag.rejoin };
        self.lag.shows(session.name.as_str(), session.start, lag, self.now)
    }

    /// A conference record on the wire.
    pub(super) fn conference_body(&self, conference: &Conference) -> wire::ConferenceRecord {
        let end = self.conference_end(conference);
        wire::ConferenceRecord {
            name: conference.name.to_string(),
            start_time: Some(wire_time(conference.start)),
            end_time: end.map(wire_time),
            expire_time: end.map(|end| wire_time(expiry(end))),
            space: Some(self.world.space(conference.space).name.to_string()),
        }
    }

    /// A participant on the wire.
    pub(super) fn participant_body(&self, participant: &Participant, times: Times) -> wire::Participant {
        let person = self.world.person(participant.person);
        let named = || wire::NamedUser { display_name: person.display_name.clone() };
        wire::Participant {
            name: participant.name.to_string(),
            signedin_user: (person.kind == ParticipantKind::SignedIn).then(|| wire::SignedinUser {
                user: format!("users/{}", person.account),
                display_name: person.display_name.clone(),
            }),
            anonymous_user: (person.kind == ParticipantKind::Anonymous).then(named),
            phone_user: (person.kind == ParticipantKind::Phone).then(named),
            earliest_start_time: Some(wire_time(times.start)),
            latest_end_time: times.end.map(wire_time),
        }
    }

    /// A session on the wire.
    pub(super) fn session_body(&self, session: &Session) -> wire::ParticipantSession {
        wire::ParticipantSession {
            name: session.name.to_string(),
            start_time: Some(wire_time(session.start)),
            end_time: self.session_end(session).map(wire_time),
        }
    }
}

/// An end that Google takes for the end at first: in the middle of the last minute, or of a shorter session.
fn too_early(start: Timestamp, end: Timestamp) -> Timestamp {
    let before = end.duration_since(start).min(SignedDuration::from_mins(1)) / 2;
    end.saturating_sub(before).unwrap_or(end)
}

fn expiry(end: Timestamp) -> Timestamp {
    end.saturating_add(KEPT).unwrap_or(Timestamp::MAX)
}

/// A time as Google writes it: with no, three, six or nine fractional digits.
pub(super) fn wire_time(time: Timestamp) -> String {
    let precision = match time.as_nanosecond().rem_euclid(1_000_000_000) {
        0 => 0,
        nanoseconds if nanoseconds % 1_000_000 == 0 => 3,
        nanoseconds if nanoseconds % 1_000 == 0 => 6,
        _ => 9,
    };
    format!("{time:.precision$}")
}
