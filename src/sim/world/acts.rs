//! What people do, and what it does to the world. Every act has its time; none reads a clock.

use jiff::Timestamp;

use super::conference::{Conference, ConferenceKey, Participant, Session, SpaceKey};
use super::people::PersonKey;
use super::{World, ids};
use crate::model::{ConferenceName, InvalidName, ParticipantKind, SessionName};

/// Something that happens in a space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// A conference begins with nobody in it.
    Start,
    /// A device joins; it starts a conference where none is live.
    Join(PersonKey, Box<str>),
    /// A device leaves.
    Leave(PersonKey, Box<str>),
    /// All devices of a person leave.
    LeaveWholly(PersonKey),
    /// The conference ends, and with it every stay.
    End,
    /// The conference ends; stays that are open stay open for ever, as Google sometimes leaves them.
    Abandon,
    /// A person changes the name that others see.
    Rename(PersonKey, Box<str>),
}

/// An act that makes no sense where and when it was asked for. The world is as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    #[error("no conference is live here")]
    NothingLive,
    #[error("a conference is live here already")]
    AlreadyLive,
    #[error("this device of this person is in the conference already")]
    AlreadyIn,
    #[error("this device of this person is not in the conference")]
    NotIn,
    #[error("that is before the conference or the stay began")]
    TooEarly,
    #[error("that is before the last conference in this space ended")]
    Overlaps,
    #[error("two participants would have the same name")]
    DoubledName,
    #[error(transparent)]
    Name(#[from] InvalidName),
}

impl World {
    /// Does one act, now: `at` is its time, which need not be the world's.
    ///
    /// # Errors
    /// [`ActError`] for what cannot happen; nothing has changed then.
    pub fn act(&mut self, space: SpaceKey, act: &Act, at: Timestamp) -> Result<(), ActError> {
        match act {
            Act::Start => self.start(space, at).map(drop),
            Act::Join(person, device) => self.join(space, *person, device, at).map(drop),
            Act::Leave(person, device) => self.leave(space, *person, device, at),
            Act::LeaveWholly(person) => self.leave_wholly(space, *person, at),
            Act::End => self.end(space, at),
            Act::Abandon => self.abandon(space, at),
            Act::Rename(person, name) => {
                self.rename(*person, name);
                Ok(())
            }
        }
    }

    /// Starts a conference with nobody in it.
    ///
    /// # Errors
    /// [`ActError::AlreadyLive`], or [`ActError::Overlaps`] where the last one ended after `at`.
    pub fn start(&mut self, space: SpaceKey, at: Timestamp) -> Result<ConferenceName, ActError> {
        let last = self.space(space);
        if last.live.is_some() {
            return Err(ActError::AlreadyLive);
        }
        let last_end = last.conferences.last().and_then(|(_, key)| self.conference(*key).end);
        if last_end.is_some_and(|end| at < end) {
            return Err(ActError::Overlaps);
        }
        let name = ids::conference(&mut self.random)?;
        self.open_conference(Conference::new(name.clone(), space, at));
        Ok(name)
    }

    /// Lets a device of a person join. Where no conference is live, one starts with it.
    ///
    /// # Errors
    /// [`ActError`] as its variants say.
    pub fn join(
        &mut self,
        space: SpaceKey,
        person: PersonKey,
        device: &str,
        at: Timestamp,
    ) -> Result<SessionName, ActError> {
        if self.space(space).live.is_none() {
            self.start(space, at)?;
        }
        let key = self.live(space)?;
        if at < self.conference(key).start {
            return Err(ActError::TooEarly);
        }
        let index = self.participant_of(key, person);
        if let Some(index) = index {
            let participant = &mut self.conferences[key.0 as usize].participants[index as usize];
            if participant.open_session(device).is_some() {
                return Err(ActError::AlreadyIn);
            }
            let name = ids::session(&participant.name, &mut self.random)?;
            let session = Session { name: name.clone(), device: device.into(), start: at, end: None };
            self.conferences[key.0 as usize].add_session(index, session);
            return Ok(name);
        }
        self.first_join(key, person, device, at)
    }

    /// The participant that a joining person is: the one from before, unless a guest comes back as somebody new.
    fn participant_of(&self, key: ConferenceKey, person: PersonKey) -> Option<u32> {
        let conference = self.conference(key);
        let index = *conference.by_person.get(&person)?;
        let comes_back_as_new = self.guests_return_as_new
            && self.person(person).kind != ParticipantKind::SignedIn
            && !conference.participants[index as usize].is_present();
        (!comes_back_as_new).then_some(index)
    }

    fn first_join(
        &mut self,
        key: ConferenceKey,
        person: PersonKey,
        device: &str,
        at: Timestamp,
    ) -> Result<SessionName, ActError> {
        let who = &self.people[person.0 as usize];
        let account = (who.kind == ParticipantKind::SignedIn).then_some(who.account.as_str());
        let conference = &mut self.conferences[key.0 as usize];
        let participant = ids::participant(&conference.name, account, &mut self.random)?;
        if conference.by_id.contains_key(ids::id_of(participant.as_str())) {
            return Err(ActError::DoubledName);
        }
        let name = ids::session(&participant, &mut self.random)?;
        let session = Session { name: name.clone(), device: device.into(), start: at, end: None };
        conference.add(Participant { name: participant, person, sessions: vec![session] });
        Ok(name)
    }

    /// Lets one device leave.
    ///
    /// # Errors
    /// [`ActError::NothingLive`], [`ActError::NotIn`], or [`ActError::TooEarly`] before its stay began.
    pub fn leave(&mut self, space: SpaceKey, person: PersonKey, device: &str, at: Timestamp) -> Result<(), ActError> {
        let participant = self.present(space, person)?;
        let session = participant.open_session(device).ok_or(ActError::NotIn)?;
        if at < session.start {
            return Err(ActError::TooEarly);
        }
        session.end = Some(at);
        Ok(())
    }

    /// Lets all devices of a person leave.
    ///
    /// # Errors
    /// As [`World::leave`].
    pub fn leave_wholly(&mut self, space: SpaceKey, person: PersonKey, at: Timestamp) -> Result<(), ActError> {
        let participant = self.present(space, person)?;
        if !participant.is_present() {
            return Err(ActError::NotIn);
        }
        let mut open = participant.sessions.iter_mut().filter(|session| session.end.is_none());
        if open.any(|session| at < session.start) {
            return Err(ActError::TooEarly);
        }
        participant.sessions.iter_mut().filter(|session| session.end.is_none()).for_each(|s| s.end = Some(at));
        Ok(())
    }

    /// Ends the conference and every stay in it.
    ///
    /// # Errors
    /// [`ActError::NothingLive`], or [`ActError::TooEarly`] before anything in it began or ended.
    pub fn end(&mut self, space: SpaceKey, at: Timestamp) -> Result<(), ActError> {
        let key = self.live(space)?;
        let stays = self.conference(key).participants.iter().flat_map(|participant| &participant.sessions);
        let last = stays.flat_map(|stay| [Some(stay.start), stay.end]).flatten().max();
        if last.is_some_and(|last| at < last) {
            return Err(ActError::TooEarly);
        }
        self.close_conference(space, key, at)?;
        let stays = self.conferences[key.0 as usize].participants.iter_mut().flat_map(|p| &mut p.sessions);
        stays.filter(|stay| stay.end.is_none()).for_each(|stay| stay.end = Some(at));
        Ok(())
    }

    /// Ends the conference and leaves open stays open for ever.
    ///
    /// # Errors
    /// [`ActError::NothingLive`], or [`ActError::TooEarly`] before it began.
    pub fn abandon(&mut self, space: SpaceKey, at: Timestamp) -> Result<(), ActError> {
        let key = self.live(space)?;
        self.close_conference(space, key, at)
    }

    /// Changes the name that others see of this person, in every conference.
    pub fn rename(&mut self, person: PersonKey, display_name: &str) {
        display_name.clone_into(&mut self.people[person.0 as usize].display_name);
    }

    fn live(&self, space: SpaceKey) -> Result<ConferenceKey, ActError> {
        self.space(space).live.ok_or(ActError::NothingLive)
    }

    fn present(&mut self, space: SpaceKey, person: PersonKey) -> Result<&mut Participant, ActError> {
        let key = self.live(space)?;
        let conference = &mut self.conferences[key.0 as usize];
        let index = *conference.by_person.get(&person).ok_or(ActError::NotIn)?;
        Ok(&mut conference.participants[index as usize])
    }
}
