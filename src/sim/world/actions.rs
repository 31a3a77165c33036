//! What people do in a world: join, leave, start and end. Each action is given its time; none reads a clock.

use jiff::Timestamp;

use super::conference::{ConferenceKey, SimConference, SimParticipant, SimSession, SpaceKey};
use super::people::PersonKey;
use super::{World, ids};
use crate::model::{ConferenceName, InvalidName, ParticipantKind, SessionName};

/// An action in a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A conference begins with nobody in it.
    Start,
    /// A device joins; it starts a conference where none is live.
    Join(PersonKey, Box<str>),
    /// A device leaves.
    Leave(PersonKey, Box<str>),
    /// All devices of a person leave.
    LeaveWholly(PersonKey),
    /// The conference ends, and every open session with it.
    End,
    /// The conference ends; its open sessions never get an end, as Google sometimes leaves them.
    Abandon,
    /// A person changes their display name.
    Rename(PersonKey, Box<str>),
}

/// An action that is impossible in this space at this time. The world is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    #[error("no conference is live here")]
    NothingLive,
    #[error("a conference is live here already")]
    AlreadyLive,
    #[error("this device of this person is in the conference already")]
    AlreadyIn,
    #[error("this device of this person is not in the conference")]
    NotIn,
    #[error("that is before the conference or the session began")]
    TooEarly,
    #[error("that is before the last conference in this space ended")]
    Overlaps,
    #[error("two participants would have the same name")]
    DoubledName,
    #[error(transparent)]
    Name(#[from] InvalidName),
}

impl World {
    /// Performs an action immediately. `at` is its time, which may differ from the world's.
    ///
    /// # Errors
    /// [`ActionError`] if the action is impossible; the world is then unchanged.
    pub fn perform(&mut self, space: SpaceKey, action: &Action, at: Timestamp) -> Result<(), ActionError> {
        match action {
            Action::Start => self.start(space, at).map(drop),
            Action::Join(person, device) => self.join(space, *person, device, at).map(drop),
            Action::Leave(person, device) => self.leave(space, *person, device, at),
            Action::LeaveWholly(person) => self.leave_wholly(space, *person, at),
            Action::End => self.end(space, at),
            Action::Abandon => self.abandon(space, at),
            Action::Rename(person, name) => {
                self.rename(*person, name);
                Ok(())
            }
        }
    }

    /// Starts a conference with nobody in it.
    ///
    /// # Errors
    /// [`ActionError::AlreadyLive`], or [`ActionError::Overlaps`] where the last one ended after `at`.
    pub fn start(&mut self, space: SpaceKey, at: Timestamp) -> Result<ConferenceName, ActionError> {
        let last = self.space(space);
        if last.live.is_some() {
            return Err(ActionError::AlreadyLive);
        }
        let last_end = last.conferences.last().and_then(|(_, key)| self.conference(*key).end);
        if last_end.is_some_and(|end| at < end) {
            return Err(ActionError::Overlaps);
        }
        let name = ids::conference(&mut self.random)?;
        self.open_conference(SimConference::new(name.clone(), space, at));
        Ok(name)
    }

    /// A device of a person joins. If no conference is live, one starts.
    ///
    /// # Errors
    /// [`ActionError`] if the action is impossible.
    pub fn join(
        &mut self,
        space: SpaceKey,
        person: PersonKey,
        device: &str,
        at: Timestamp,
    ) -> Result<SessionName, ActionError> {
        if self.space(space).live.is_none() {
            self.start(space, at)?;
        }
        let key = self.live(space)?;
        if at < self.conference(key).start {
            return Err(ActionError::TooEarly);
        }
        let index = self.participant_of(key, person);
        if let Some(index) = index {
            let participant = &mut self.conferences[key.0 as usize].participants[index as usize];
            if participant.open_session(device).is_some() {
                return Err(ActionError::AlreadyIn);
            }
            let name = ids::session(&participant.name, &mut self.random)?;
            let session = SimSession { name: name.clone(), device: device.into(), start: at, end: None };
            self.conferences[key.0 as usize].add_session(index, session);
            return Ok(name);
        }
        self.first_join(key, person, device, at)
    }

    /// Returns the participant as which a person joins again: the earlier one, unless the world makes returning guests
    /// new participants. `None` for a new participant.
    fn participant_of(&self, key: ConferenceKey, person: PersonKey) -> Option<u32> {
        let conference = self.conference(key);
        let index = *conference.by_person.get(&person)?;
        let returns_as_new = self.guests_return_as_new
            && self.person(person).kind != ParticipantKind::SignedIn
            && !conference.participants[index as usize].is_present();
        (!returns_as_new).then_some(index)
    }

    fn first_join(
        &mut self,
        key: ConferenceKey,
        person: PersonKey,
        device: &str,
        at: Timestamp,
    ) -> Result<SessionName, ActionError> {
        let joining = &self.people[person.0 as usize];
        let account = (joining.kind == ParticipantKind::SignedIn).then_some(joining.account.as_str());
        let conference = &mut self.conferences[key.0 as usize];
        let participant = ids::participant(&conference.name, account, &mut self.random)?;
        if conference.by_id.contains_key(ids::id_of(participant.as_str())) {
            return Err(ActionError::DoubledName);
        }
        let name = ids::session(&participant, &mut self.random)?;
        let session = SimSession { name: name.clone(), device: device.into(), start: at, end: None };
        conference.add(SimParticipant { name: participant, person, sessions: vec![session] });
        Ok(name)
    }

    /// One device leaves.
    ///
    /// # Errors
    /// [`ActionError::NothingLive`], [`ActionError::NotIn`], or [`ActionError::TooEarly`] before its session began.
    pub fn leave(
        &mut self,
        space: SpaceKey,
        person: PersonKey,
        device: &str,
        at: Timestamp,
    ) -> Result<(), ActionError> {
        let participant = self.present(space, person)?;
        let session = participant.open_session(device).ok_or(ActionError::NotIn)?;
        if at < session.start {
            return Err(ActionError::TooEarly);
        }
        session.end = Some(at);
        Ok(())
    }

    /// All devices of a person leave.
    ///
    /// # Errors
    /// As [`World::leave`].
    pub fn leave_wholly(&mut self, space: SpaceKey, person: PersonKey, at: Timestamp) -> Result<(), ActionError> {
        let participant = self.present(space, person)?;
        if !participant.is_present() {
            return Err(ActionError::NotIn);
        }
        let mut open = participant.sessions.iter_mut().filter(|session| session.end.is_none());
        if open.any(|session| at < session.start) {
            return Err(ActionError::TooEarly);
        }
        participant.sessions.iter_mut().filter(|session| session.end.is_none()).for_each(|s| s.end = Some(at));
        Ok(())
    }

    /// Ends the conference and every open session in it.
    ///
    /// # Errors
    /// [`ActionError::NothingLive`], or [`ActionError::TooEarly`] before anything in it began or ended.
    pub fn end(&mut self, space: SpaceKey, at: Timestamp) -> Result<(), ActionError> {
        let key = self.live(space)?;
        let sessions = self.conference(key).participants.iter().flat_map(|participant| &participant.sessions);
        let last = sessions.flat_map(|session| [Some(session.start), session.end]).flatten().max();
        if last.is_some_and(|last| at < last) {
            return Err(ActionError::TooEarly);
        }
        self.close_conference(space, key, at)?;
        let sessions = self.conferences[key.0 as usize].participants.iter_mut().flat_map(|p| &mut p.sessions);
        sessions.filter(|session| session.end.is_none()).for_each(|session| session.end = Some(at));
        Ok(())
    }

    /// Ends the conference; its open sessions never get an end.
    ///
    /// # Errors
    /// [`ActionError::NothingLive`], or [`ActionError::TooEarly`] before it began.
    pub fn abandon(&mut self, space: SpaceKey, at: Timestamp) -> Result<(), ActionError> {
        let key = self.live(space)?;
        self.close_conference(space, key, at)
    }

    /// Changes a person's display name, in every conference.
    pub fn rename(&mut self, person: PersonKey, display_name: &str) {
        display_name.clone_into(&mut self.people[person.0 as usize].display_name);
    }

    fn live(&self, space: SpaceKey) -> Result<ConferenceKey, ActionError> {
        self.space(space).live.ok_or(ActionError::NothingLive)
    }

    fn present(&mut self, space: SpaceKey, person: PersonKey) -> Result<&mut SimParticipant, ActionError> {
        let key = self.live(space)?;
        let conference = &mut self.conferences[key.0 as usize];
        let index = *conference.by_person.get(&person).ok_or(ActionError::NotIn)?;
        Ok(&mut conference.participants[index as usize])
    }
}
