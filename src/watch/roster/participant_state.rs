//! Pure: what is known of one participant, and what was emitted of them.

use jiff::Timestamp;

use super::Directory;
use super::facts::EmittedPresence;
use super::listing_status::ListingStatus;
use super::observation::Moment;
use super::presence::{self, Presence, SessionInterval};
use super::session_state::{MergeOutcome, SessionState};
use crate::clock::Mono;
use crate::model::event::{Affiliation, ParticipantRef, SessionRef};
use crate::model::{self, EventType, ParticipantKind, ParticipantName, SessionName, Source, UserName};

/// One participant of one conference.
#[derive(Debug, Clone)]
pub struct ParticipantState {
    pub kind: ParticipantKind,
    pub user: Option<UserName>,
    pub display_name: Option<Box<str>>,
    pub email: Option<Box<str>>,
    pub affiliation: Option<Affiliation>,
    pub earliest_start: Option<Timestamp>,
    /// The latest end that Google ever showed.
    pub latest_end: Option<Timestamp>,
    pub(super) sessions: Vec<SessionState>,
    pub(super) presences: Vec<EmittedPresence>,
    /// The events that were emitted and withdrawn. The session only for `session.*`.
    pub(super) withdrawn: Vec<WithdrawnEvent>,
    pub(super) listing_status: ListingStatus,
    /// While missing: the last listing that showed the participant, by Google's clock. It is stored.
    pub last_seen: Option<Timestamp>,
    /// When this process first saw the participant.
    pub(super) first_seen: Mono,
    /// The same by Google's clock, for a participant whose start Google does not show.
    pub(super) first_sight: Option<Timestamp>,
    /// When a participant without a known session, or of whom a session could not be read, was inferred to have left.
    pub(super) inferred_end: Option<Timestamp>,
    /// Whether the last list of sessions had one that could not be read, so that a session may be open that is not known.
    pub(super) sessions_incomplete: bool,
}

/// An event that was emitted and withdrawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithdrawnEvent {
    pub event: EventType,
    pub session: Option<SessionName>,
    pub time: Timestamp,
    pub source: Source,
}

impl ParticipantState {
    /// Creates the state of a participant who is seen for the first time.
    #[must_use]
    pub fn new(read: &model::Participant, moment: Moment) -> Self {
        Self {
            kind: read.kind,
            user: read.user.clone(),
            display_name: read.display_name.clone(),
            email: None,
            affiliation: None,
            earliest_start: read.earliest_start,
            latest_end: read.latest_end,
            sessions: Vec::new(),
            presences: Vec::new(),
            withdrawn: Vec::new(),
            listing_status: ListingStatus::Away,
            last_seen: None,
            first_seen: moment.now.mono,
            first_sight: read.earliest_start.is_none().then_some(moment.google),
            inferred_end: None,
            sessions_incomplete: false,
        }
    }

    /// Returns the known sessions, ordered by start.
    #[must_use]
    pub fn sessions(&self) -> &[SessionState] {
        &self.sessions
    }

    /// Returns the sessions that have no end.
    pub fn open_sessions(&self) -> impl Iterator<Item = &SessionState> {
        self.sessions.iter().filter(|session| session.is_open())
    }

    /// Returns whether a join of the participant was emitted.
    #[must_use]
    pub fn is_told(&self) -> bool {
        !self.presences.is_empty()
    }

    #[must_use]
    pub fn listing_status(&self) -> &ListingStatus {
        &self.listing_status
    }

    /// Returns whether the last event of the participant is a join.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.presences.last().is_some_and(|presence| presence.left.is_none())
    }

    /// Returns the latest end that Google reported of a session.
    #[must_use]
    pub fn last_google_end(&self) -> Option<Timestamp> {
        self.sessions
            .iter()
            .filter_map(|session| session.end)
            .filter(|(_, source)| *source == Source::Google)
            .map(|(end, _)| end)
            .max()
    }

    /// Returns whether [`ParticipantState::merge`] of this resource would change nothing.
    #[must_use]
    pub(super) fn knows(&self, read: &model::Participant) -> bool {
        (read.kind == ParticipantKind::Unknown || self.kind == read.kind)
            && (read.display_name.is_none() || self.display_name == read.display_name)
            && (read.user.is_none() || self.user == read.user)
            && read.earliest_start.is_none_or(|start| self.earliest_start.is_some_and(|known| known <= start))
            && read.latest_end.is_none_or(|end| self.latest_end.is_some_and(|known| known >= end))
    }

    /// Takes in a participant resource. A changed name replaces the one before, without an event.
    pub(super) fn merge(&mut self, read: &model::Participant) {
        if read.kind != ParticipantKind::Unknown {
            self.kind = read.kind;
        }
        if read.user.is_some() && read.user != self.user {
            self.user.clone_from(&read.user);
            (self.email, self.affiliation) = (None, None);
        }
        if read.display_name.is_some() {
            self.display_name.clone_from(&read.display_name);
        }
        self.earliest_start = [self.earliest_start, read.earliest_start].into_iter().flatten().min();
        self.latest_end = self.latest_end.max(read.latest_end);
    }

    /// Takes in one session. `reopen` as for [`SessionState::merge`].
    pub(super) fn merge_session(&mut self, read: &model::Session, reopen: bool) -> MergeOutcome {
        if let Some(known) = self.sessions.iter_mut().find(|known| known.name == read.name) {
            let merged = known.merge(read, reopen);
            if merged.changed {
                self.sessions.sort_by(|a, b| (a.start, &a.name).cmp(&(b.start, &b.name)));
            }
            return merged;
        }
        let (known, merged) = SessionState::new(read);
        let at = self.sessions.partition_point(|other| (other.start, &other.name) <= (known.start, &known.name));
        if self.sessions.is_empty() {
            // Most participants have one session, and spare capacity would be most of the memory of a participant.
            self.sessions.reserve_exact(1);
        }
        self.sessions.insert(at, known);
        // The leave was inferred because no session was known.
        self.inferred_end = None;
        merged
    }

    /// Returns the presences that follow from what is known. `resource_counts` says whether the participant resource alone
    /// is used where no session is known.
    #[must_use]
    pub(super) fn presences_from(&self, resource_counts: bool) -> Vec<Presence> {
        if self.sessions.is_empty() {
            return self.presence_of_resource().filter(|_| resource_counts).into_iter().collect();
        }
        let mut united =
            presence::unite(self.sessions.iter().zip(self.session_ends()).map(|(session, end)| SessionInterval {
                session: Some(&session.name),
                start: session.start,
                end,
            }));
        for presence in &mut united {
            // Which session ended is known once it was read.
            let ended = |last: &SessionName| {
                self.sessions.iter().any(|session| session.name == *last && session.end == presence.end)
            };
            presence.last = presence.last.take().filter(ended);
        }
        if self.sessions_incomplete
            && let Some(last) = united.last_mut()
        {
            self.withhold_leave(last);
        }
        united
    }

    /// Returns the end of each session: Google's, or else the later of the one in the participant resource and one that was
    /// inferred, because what is open when everything was read lasted until the conference's end.
    pub(super) fn session_ends(&self) -> impl Iterator<Item = Option<(Timestamp, Source)>> {
        let shown = self.shown_end();
        self.sessions.iter().map(move |session| {
            let shown = shown.filter(|(end, _)| session.start <= *end);
            let inferred = session.end.filter(|(end, _)| shown.is_none_or(|(shown, _)| *end > shown));
            session.google_end().or(inferred).or(shown)
        })
    }

    /// Returns the end in the participant resource. Google shows it only once no session is open, so whatever began before it
    /// has ended by then. `None` if a session contradicts that.
    fn shown_end(&self) -> Option<(Timestamp, Source)> {
        let shown = self.latest_end?;
        let outlasts =
            |session: &SessionState| session.start <= shown && session.google_end().is_some_and(|(end, _)| end > shown);
        (!self.sessions.iter().any(outlasts)).then_some((shown, Source::Google))
    }

    /// Returns whether Google shows that a session has ended of which no end was read.
    #[must_use]
    pub fn has_unread_end(&self) -> bool {
        self.shown_end().is_some_and(|(end, _)| self.open_sessions().any(|session| session.start <= end))
    }

    /// Returns the presence that follows from the participant resource alone. Without a start of Google's it begins when
    /// the participant was first seen.
    fn presence_of_resource(&self) -> Option<Presence> {
        // Somebody who is listed may have come back since.
        let gone = !matches!(self.listing_status, ListingStatus::Listed { .. });
        let google = self.latest_end.filter(|_| gone).map(|end| (end, Source::Google));
        let end = google.or_else(|| self.inferred_end.map(|end| (end, Source::Inferred)));
        let (start, start_source) = match (self.earliest_start, self.first_sight) {
            (Some(start), _) => (start, Source::Google),
            // Of somebody who is not in the call and has no end nothing is known.
            (None, Some(sight)) if end.is_some() || self.listing_status != ListingStatus::Away => {
                (end.map_or(sight, |(end, _)| sight.min(end)), Source::Inferred)
            }
            _ => return None,
        };
        let end = end.map(|(end, source)| (end.max(start), source));
        Some(Presence { start, start_source, first: None, end, last: None })
    }

    /// Returns whether a leave is not told because a session could not be read.
    pub(super) fn is_leave_held_back(&self) -> bool {
        self.sessions_incomplete && self.presences_from(true).last().is_some_and(|last| last.end.is_none())
    }

    /// Takes back the end of a presence, unless it was told before or follows from more than the sessions that are known:
    /// one that could not be read may be open.
    fn withhold_leave(&self, last: &mut Presence) {
        let Some((end, source)) = last.end else { return };
        let told = self.presences.last().and_then(|told| told.left.as_ref());
        if told.is_some_and(|left| (left.emission.time, left.emission.source) == (end, source)) {
            return;
        }
        let is_listed = matches!(self.listing_status, ListingStatus::Listed { .. });
        let google = self.latest_end.filter(|shown| *shown >= end && !is_listed).map(|shown| (shown, Source::Google));
        last.end = google.or_else(|| self.inferred_end.map(|inferred| (inferred.max(end), Source::Inferred)));
        last.last = last.last.take().filter(|_| last.end.is_some_and(|(known, _)| known == end));
    }

    /// Notes whether a list of sessions, of `all` or of the open ones, could be read completely. Returns whether that
    /// changes what is known.
    pub(super) fn note_sessions_complete(&mut self, complete: bool, all: bool) -> bool {
        let before = self.sessions_incomplete;
        self.sessions_incomplete = !complete || (before && !all);
        before != self.sessions_incomplete
    }

    /// Returns the participant as events refer to it.
    #[must_use]
    pub fn reference(&self, name: &ParticipantName) -> ParticipantRef {
        ParticipantRef {
            name: name.clone(),
            kind: self.kind,
            user: self.user.clone(),
            display_name: self.display_name.clone(),
            email: self.email.clone(),
            affiliation: self.affiliation,
        }
    }

    /// Returns one of the sessions as events refer to it.
    #[must_use]
    pub fn session_reference(&self, name: &SessionName) -> Option<SessionRef> {
        let session = self.sessions.iter().find(|session| session.name == *name)?;
        Some(SessionRef { name: name.clone(), start_time: session.start, end_time: session.end.map(|(end, _)| end) })
    }

    /// Returns whether this session is known and has no end.
    #[must_use]
    pub(super) fn has_open(&self, name: &SessionName) -> bool {
        self.open_sessions().any(|session| session.name == *name)
    }

    /// Ends everything that is open at `time`, as inferred.
    pub(super) fn infer_end(&mut self, time: Timestamp) {
        for session in &mut self.sessions {
            session.infer_end(time);
        }
        if self.sessions.is_empty() || self.sessions_incomplete {
            // Also if the join was not emitted yet: it will be, and needs its leave.
            self.inferred_end.get_or_insert(time);
        }
    }

    /// Fills in the address from the directory, unless it is known.
    pub(super) fn fill_in(&mut self, directory: &Directory) {
        if self.email.is_none()
            && let Some(entry) = self.user.as_ref().and_then(|user| directory.get(user))
        {
            self.email = Some(entry.email.clone());
            self.affiliation = Some(entry.affiliation);
        }
    }
}
