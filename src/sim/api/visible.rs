//! The part of the world that the API shows at a time: what happened, without what lags and what has expired.

use jiff::SignedDuration;
use jiff::Timestamp;

use crate::meet::wire;
use crate::model::ParticipantKind;
use crate::sim::faults::Lag;
use crate::sim::world::{ConferenceKey, SimConference, SimParticipant, SimSession, World};

/// How long Google keeps an ended conference.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The world as the API shows it at `now`.
#[derive(Debug, Clone, Copy)]
pub(super) struct VisibleWorld<'w> {
    pub(super) world: &'w World,
    pub(super) now: Timestamp,
    pub(super) lag: Lag,
}

/// The visible times of a participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct VisibleTimes {
    pub(super) start: Timestamp,
    pub(super) end: Option<Timestamp>,
}

impl<'w> VisibleWorld<'w> {
    /// Returns a visible conference by id.
    pub(super) fn conference(&self, id: &str) -> Option<(ConferenceKey, &'w SimConference)> {
        let key = self.world.conference_by_id(id)?;
        let conference = self.world.conference(key);
        self.shows(conference).then_some((key, conference))
    }

    /// Returns whether a conference is visible: its lag is over and it has not expired.
    pub(super) fn shows(&self, conference: &SimConference) -> bool {
        let expired = conference.end.is_some_and(|end| expiry(end) <= self.now);
        !expired && self.lag.shows(conference.name.as_str(), conference.start, self.lag.conference, self.now)
    }

    /// Returns the end of a conference once it is visible.
    pub(super) fn conference_end(&self, conference: &SimConference) -> Option<Timestamp> {
        let end = conference.end?;
        self.lag.shows(conference.name.as_str(), end, self.lag.conference_end, self.now).then_some(end)
    }

    /// Returns the times of a participant once it is visible.
    pub(super) fn participant(&self, participant: &SimParticipant) -> Option<VisibleTimes> {
        let mut times: Option<VisibleTimes> = None;
        for (number, session) in participant.sessions.iter().enumerate() {
            if !self.has_begun(number, session) {
                if number == 0 {
                    return None;
                }
                continue;
            }
            let end = self.session_end(session);
            times = Some(match times {
                None => VisibleTimes { start: session.start, end },
                Some(before) => VisibleTimes { start: before.start, end: before.end.zip(end).map(|(a, b)| a.max(b)) },
            });
        }
        times
    }

    /// Returns whether a participant's session with this index is visible as a resource. Its participant is then
    /// visible.
    pub(super) fn session(&self, number: usize, session: &SimSession) -> bool {
        let also = if number == 0 { self.lag.participant } else { self.lag.rejoin };
        let lag = self.lag.session + also;
        self.has_begun(number, session) && self.lag.shows(session.name.as_str(), session.start, lag, self.now)
    }

    /// Returns the end of a session once it is visible.
    pub(super) fn session_end(&self, session: &SimSession) -> Option<Timestamp> {
        let end = session.end?;
        let shows = |lag| self.lag.shows(session.name.as_str(), end, lag, self.now);
        if !shows(self.lag.leave) {
            return None;
        }
        let early = !self.lag.true_end.is_zero() && !shows(self.lag.leave + self.lag.true_end);
        Some(if early { too_early(session.start, end) } else { end })
    }

    fn has_begun(&self, number: usize, session: &SimSession) -> bool {
        let lag = if number == 0 { self.lag.participant } else { self.lag.rejoin };
        self.lag.shows(session.name.as_str(), session.start, lag, self.now)
    }

    /// Returns a conference record in the format of the wire.
    pub(super) fn conference_body(&self, conference: &SimConference) -> wire::ConferenceRecord {
        let end = self.conference_end(conference);
        wire::ConferenceRecord {
            name: conference.name.to_string(),
            start_time: Some(wire_time(conference.start)),
            end_time: end.map(wire_time),
            expire_time: end.map(|end| wire_time(expiry(end))),
            space: Some(self.world.space(conference.space).name.to_string()),
        }
    }

    /// Returns a participant in the format of the wire.
    pub(super) fn participant_body(&self, participant: &SimParticipant, times: VisibleTimes) -> wire::Participant {
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

    /// Returns a session in the format of the wire.
    pub(super) fn session_body(&self, session: &SimSession) -> wire::ParticipantSession {
        wire::ParticipantSession {
            name: session.name.to_string(),
            start_time: Some(wire_time(session.start)),
            end_time: self.session_end(session).map(wire_time),
        }
    }
}

/// Returns an end that is too early, as Google first reports it at times: the middle of the last minute, or of a
/// shorter session.
fn too_early(start: Timestamp, end: Timestamp) -> Timestamp {
    let before = end.duration_since(start).min(SignedDuration::from_mins(1)) / 2;
    end.saturating_sub(before).unwrap_or(end)
}

fn expiry(end: Timestamp) -> Timestamp {
    end.saturating_add(KEPT).unwrap_or(Timestamp::MAX)
}

/// Returns a time in Google's format: with no, three, six or nine fractional digits.
pub(super) fn wire_time(time: Timestamp) -> String {
    let precision = match time.as_nanosecond().rem_euclid(1_000_000_000) {
        0 => 0,
        nanoseconds if nanoseconds % 1_000_000 == 0 => 3,
        nanoseconds if nanoseconds % 1_000 == 0 => 6,
        _ => 9,
    };
    format!("{time:.precision$}")
}
