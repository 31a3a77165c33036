//! The people, spaces and conferences of a world: adding them, finding them, and their indexes.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::conference::{ConferenceKey, SimConference, SimSpace, SpaceKey};
use super::people::{PersonKey, SimPerson};
use super::{ActionError, World, ids};
use crate::model::{InvalidName, MeetingCode, ParticipantKind, SpaceName};

impl World {
    /// Adds a person. A signed-in person without an account id gets a generated one.
    pub fn add_person(&mut self, mut person: SimPerson) -> PersonKey {
        let key = PersonKey(u32::try_from(self.people.len()).unwrap_or(u32::MAX));
        if person.kind == ParticipantKind::SignedIn {
            if person.account.is_empty() {
                person.account = ids::account(&mut self.random);
            }
            self.by_account.insert(person.account.as_str().into(), key);
            if let Some(email) = &person.email {
                self.by_email.insert(email.as_str().into(), key);
            }
        }
        self.people.push(person);
        key
    }

    /// Adds a space with a generated meeting code.
    ///
    /// # Errors
    /// [`InvalidName`] never in practice: the names are generated here.
    pub fn add_space(&mut self, organizer: Option<PersonKey>) -> Result<SpaceKey, InvalidName> {
        let code = loop {
            let code = ids::meeting_code(&mut self.random)?;
            if !self.by_code.contains_key(code.as_str()) {
                break code;
            }
        };
        self.add_space_under(code, organizer)
    }

    /// Adds a space with this meeting code. A code that was used before refers to the new space from now on.
    ///
    /// # Errors
    /// [`InvalidName`] never in practice: the name is generated here.
    pub fn add_space_under(
        &mut self,
        code: MeetingCode,
        organizer: Option<PersonKey>,
    ) -> Result<SpaceKey, InvalidName> {
        let name = ids::space(&mut self.random)?;
        let key = SpaceKey(u32::try_from(self.spaces.len()).unwrap_or(u32::MAX));
        self.by_space_name.insert(name.as_str().into(), key);
        self.by_code.entry(code.as_str().into()).or_default().push(key);
        self.spaces.push(SimSpace { name, code, organizer, live: None, conferences: BTreeSet::new() });
        Ok(key)
    }

    /// Returns the person of a key of this world.
    #[must_use]
    pub fn person(&self, key: PersonKey) -> &SimPerson {
        &self.people[key.0 as usize]
    }

    /// Returns the space of a key of this world.
    #[must_use]
    pub fn space(&self, key: SpaceKey) -> &SimSpace {
        &self.spaces[key.0 as usize]
    }

    /// Returns the conference of a key of this world.
    #[must_use]
    pub fn conference(&self, key: ConferenceKey) -> &SimConference {
        &self.conferences[key.0 as usize]
    }

    /// Returns every space, in the order of insertion.
    pub fn spaces(&self) -> impl Iterator<Item = (SpaceKey, &SimSpace)> {
        (0..).map(SpaceKey).zip(&self.spaces)
    }

    /// Returns the person with this numeric account id.
    #[must_use]
    pub fn person_by_account(&self, account: &str) -> Option<PersonKey> {
        self.by_account.get(account).copied()
    }

    /// Returns the person with this address.
    #[must_use]
    pub fn person_by_email(&self, email: &str) -> Option<PersonKey> {
        self.by_email.get(email).copied()
    }

    /// Returns the space with this name.
    #[must_use]
    pub fn space_by_name(&self, name: &SpaceName) -> Option<SpaceKey> {
        self.by_space_name.get(name.as_str()).copied()
    }

    /// Returns the space that this meeting code refers to now.
    #[must_use]
    pub fn space_by_code(&self, code: &MeetingCode) -> Option<SpaceKey> {
        self.by_code.get(code.as_str()).and_then(|spaces| spaces.last().copied())
    }

    /// Returns the space of this resource name, or, with `by_code`, every space that ever had this meeting code.
    pub(crate) fn spaces_matching(&self, text: &str, by_code: bool) -> Vec<SpaceKey> {
        if by_code {
            // Codes are reused, so one code may match records of several spaces.
            self.by_code.get(text).cloned().unwrap_or_default()
        } else {
            self.by_space_name.get(text).copied().into_iter().collect()
        }
    }

    /// Returns the conference with this id, the last segment of its name.
    #[must_use]
    pub fn conference_by_id(&self, id: &str) -> Option<ConferenceKey> {
        self.by_conference_id.get(id).copied()
    }

    /// Returns the conference that is live in this space.
    #[must_use]
    pub fn live_in(&self, space: SpaceKey) -> Option<&SimConference> {
        self.space(space).live.map(|key| self.conference(key))
    }

    /// Returns every conference by start; conferences with equal starts in the order of insertion.
    pub(crate) const fn conferences_by_start(&self) -> &BTreeSet<(Timestamp, ConferenceKey)> {
        &self.by_start
    }

    /// Returns the live conferences, by start.
    pub(crate) const fn live_by_start(&self) -> &BTreeSet<(Timestamp, ConferenceKey)> {
        &self.live
    }

    /// Returns the ended conferences, by end.
    pub(crate) const fn conferences_by_end(&self) -> &BTreeSet<(Timestamp, ConferenceKey)> {
        &self.by_end
    }

    pub(super) fn open_conference(&mut self, conference: SimConference) -> ConferenceKey {
        let key = ConferenceKey(u32::try_from(self.conferences.len()).unwrap_or(u32::MAX));
        let entry = (conference.start, key);
        self.by_conference_id.insert(ids::id_of(conference.name.as_str()).into(), key);
        self.by_start.insert(entry);
        self.live.insert(entry);
        let space = &mut self.spaces[conference.space.0 as usize];
        space.live = Some(key);
        space.conferences.insert(entry);
        self.conferences.push(conference);
        key
    }

    pub(super) fn close_conference(
        &mut self,
        space: SpaceKey,
        key: ConferenceKey,
        at: Timestamp,
    ) -> Result<(), ActionError> {
        let conference = &mut self.conferences[key.0 as usize];
        if at < conference.start {
            return Err(ActionError::TooEarly);
        }
        conference.end = Some(at);
        self.live.remove(&(conference.start, key));
        self.by_end.insert((at, key));
        self.spaces[space.0 as usize].live = None;
        Ok(())
    }
}
