//! Pure: one participant, with all sessions that are known and all that was told.

use jiff::Timestamp;

use super::Directory;
use super::facts::EmittedPresence;
use super::listing_status::ListingStatus;
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
    /// The latest that Google ever told.
    pub latest_end: Option<Timestamp>,
    pub(super) sessions: Vec<SessionState>,
    pub(super) presences: Vec<EmittedPresence>,
    /// What was told and taken back since; the session only for `session.*`.
    pub(super) withdrawn: Vec<WithdrawnEvent>,
    pub(super) listing_status: ListingStatus,
    /// While missing: the last listing that showed the person, by Google's clock. Kept over a restart.
    pub last_seen: Option<Timestamp>,
    /// When this process saw the person first.
    pub(super) first_seen: Mono,
    /// When a person of whom no session is known was concluded to have left.
    pub(super) inferred_end: Option<Timestamp>,
}

/// A telling that no longer stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithdrawnEvent {
    pub event: EventType,
    pub session: Option<SessionName>,
    pub time: Timestamp,
    pub source: Source,
}

impl ParticipantState {
    /// Somebody who is seen for the first time.
    #[must_use]
    pub fn new(read: &model::Participant, now: Mono) -> Self {
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
            first_seen: now,
            inferred_end: None,
        }
    }

    /// Every session that is known, by start.
    #[must_use]
    pub fn sessions(&self) -> &[SessionState] {
        &self.sessions
    }

    /// Those that nobody ended.
    pub fn open_sessions(&self) -> impl Iterator<Item = &SessionState> {
        self.sessions.iter().filter(|session| session.is_open())
    }

    /// Whether the last that was told of this person is a join.
    #[must_use]
    pub fn is_present(&self) -> bool {
        self.presences.last().is_some_and(|presence| presence.left.is_none())
    }

    /// The latest end among the sessions that Google told.
    #[must_use]
    pub fn last_google_end(&self) -> Option<Timestamp> {
        self.sessions
            .iter()
            .filter_map(|session| session.end)
            .filter(|(_, source)| *source == Source::Google)
            .map(|(end, _)| end)
            .max()
    }

    /// Whether a participant resource would change nothing, by the rules of [`ParticipantState::merge`].
    #[must_use]
    pub(super) fn knows(&self, read: &model::Participant) -> bool {
        (read.kind == ParticipantKind::Unknown || self.kind == read.kind)
            && (read.display_name.is_none() || self.display_name == read.display_name)
            && (read.user.is_none() || self.user == read.user)
            && read.earliest_start.is_none_or(|start| self.earliest_start.is_some_and(|known| known <= start))
            && read.latest_end.is_none_or(|end| self.latest_end.is_some_and(|known| known >= end))
    }

    /// Takes in a participant resource. A name that changed replaces the old one and is no event.
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

    /// Takes in one session.
    pub(super) fn merge_session(&mut self, read: &model::Session, lift: bool) -> MergeOutcome {
        if let Some(known) = self.sessions.iter_mut().find(|known| known.name == read.name) {
            let merged = known.merge(read, lift);
            if merged.changed {
                self.sessions.sort_by(|a, b| (a.start, &a.name).cmp(&(b.start, &b.name)));
            }
            return merged;
        }
        let (known, merged) = SessionState::new(read);
        let at = self.sessions.partition_point(|other| (other.start, &other.name) <= (known.start, &known.name));
        if self.sessions.is_empty() {
            // Nearly everybody has one; room for more is most of what a person would take.
            self.sessions.reserve_exact(1);
        }
        self.sessions.insert(at, known);
        // What was concluded for want of any session no longer holds.
        self.inferred_end = None;
        merged
    }

    /// The stays that follow from what is known. `resource_counts`: whether the participant resource alone may stand in
    /// where no session could be read.
    #[must_use]
    pub(super) fn united(&self, resource_counts: bool) -> Vec<Presence> {
        if self.sessions.is_empty() {
            return match self.earliest_start {
                Some(start) if resource_counts => {
                    let google = self
                        .latest_end
                        .filter(|_| self.listing_status == ListingStatus::Away)
                        .map(|end| (end.max(start), Source::Google));
                    let end = google.or_else(|| self.inferred_end.map(|end| (end.max(start), Source::Inferred)));
                    vec![Presence { start, first: None, end, last: None }]
                }
                _ => Vec::new(),
            };
        }
        presence::unite(self.sessions.iter().map(|session| SessionInterval {
            session: Some(&session.name),
            start: session.start,
            end: session.end,
        }))
    }

    /// The person as events show it.
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

    /// One of the sessions as events show it.
    #[must_use]
    pub fn session_reference(&self, name: &SessionName) -> Option<SessionRef> {
        let session = self.sessions.iter().find(|session| session.name == *name)?;
        Some(SessionRef { name: name.clone(), start_time: session.start, end_time: session.end.map(|(end, _)| end) })
    }

    /// Whether this session is known to be open.
    #[must_use]
    pub(super) fn has_open(&self, name: &SessionName) -> bool {
        self.open_sessions().any(|session| session.name == *name)
    }

    /// Concludes that everything that is still open ended at `time`.
    pub(super) fn infer_end(&mut self, time: Timestamp) {
        for session in &mut self.sessions {
            session.infer_end(time);
        }
        if self.sessions.is_empty() {
            // Also of somebody whose join was not told yet: it will be, and there must be an end to it.
            self.inferred_end.get_or_insert(time);
        }
    }

    /// Fills in what was looked up, where it is not known yet.
    pub(super) fn learn(&mut self, directory: &Directory) {
        if self.email.is_none()
            && let Some(entry) = self.user.as_ref().and_then(|user| directory.get(user))
        {
            self.email = Some(entry.email.clone());
            self.affiliation = Some(entry.affiliation);
        }
    }
}
