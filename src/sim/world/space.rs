//! Who and what exists in a world: adding it, finding it, and keeping its indexes.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::conference::{Conference, ConferenceKey, Space, SpaceKey};
use super::people::{Person, PersonKey};
use super::{ActError, World, ids};
use crate::model::{InvalidName, MeetingCode, ParticipantKind, SpaceName};

impl World {
    /// Adds a person. A signed-in one without an account id is given one.
    pub fn add_person(&mut self, mut person: Person) -> PersonKey {
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

    /// Adds a space under a meeting code of its own making.
    ///
    /// # Errors
    /// [`InvalidName`] never in practice: the names are made here.
    pub fn add_space(&mut self, organizer: Option<PersonKey>) -> Result<SpaceKey, InvalidName> {
        let code = loop {
            let code = ids::meeting_code(&mut self.random)?;
            if !self.by_code.contains_key(code.as_str()) {
                break code;
            }
        };
        self.add_space_under(code, organizer)
    }

    /// Adds a space under this meeting code. A code that was used before leads to the new space from now on.
    ///
    /// # Errors
    /// [`InvalidName`] never in practice: the name is made here.
    pub fn add_space_under(
        &mut self,
        code: MeetingCode,
        organizer: Option<PersonKey>,
    ) -> Result<SpaceKey, InvalidName> {
        let name = ids::space(&mut self.random)?;
        let key = SpaceKey(u32::try_from(self.spaces.len()).unwrap_or(u32::MAX));
        self.by_space_name.insert(name.as_str().into(), key);
        self.by_code.entry(code.as_str().into()).or_default().push(key);
        self.spaces.push(Space { name, code, organizer, live: None, conferences: BTreeSet::new() });
        Ok(key)
    }

    /// The person behind a key of this world.
    #[must_use]
    pub fn person(&self, key: PersonKey) -> &Person {
        &self.people[key.0 as usize]
    }

    /// The space behind a key of this world.
    #[must_use]
    pub fn space(&self, key: SpaceKey) -> &Space {
        &self.spaces[key.0 as usize]
    }

    /// The conference behind a key of this world.
    #[must_use]
    pub fn conference(&self, key: ConferenceKey) -> &Conference {
        &self.conferences[key.0 as usize]
    }

    /// Every space, in the order they were added.
    pub fn spaces(&self) -> impl Iterator<Item = (SpaceKey, &Space)> {
        (0..).map(SpaceKey).zip(&self.spaces)
    }

    /// The person with this numeric account id.
    #[must_use]
    pub fn person_by_account(&self, account: &str) -> Option<PersonKey> {
        self.by_account.get(account).copied()
    }

    /// The person with this address.
    #[must_use]
    pub fn person_by_email(&self, email: &str) -> Option<PersonKey> {
        self.by_email.get(email).copied()
    }

    /// The space with this name.
    #[must_use]
    pub fn space_by_name(&self, name: &SpaceName) -> Option<SpaceKey> {
        self.by_space_name.get(name.as_str()).copied()
    }

    /// The space that this meeting code leads to.
    #[must_use]
    pub fn space_by_code(&self, code: &MeetingCode) -> Option<SpaceKey> {
        self.by_code.get(code.as_str()).and_then(|spaces| spaces.last().copied())
    }

    /// The spaces of this resource name, or, with `by_code`, that ever had this meeting code.
    pub(crate) fn spaces_called(&self, text: &str, by_code: bool) -> Vec<SpaceKey> {
        if by_code {
            // Codes are reused, so records of several spaces may answer to one.
            self.by_code.get(text).cloned().unwrap_or_default()
        } else {
            self.by_space_name.get(text).copied().into_iter().collect()
        }
    }

    /// The conference with this id, the last segment of its name.
    #[must_use]
    pub fn conference_by_id(&self, id: &str) -> Option<ConferenceKey> {
        self.by_conference_id.get(id).copied()
    }

    /// What is held in this space now.
    #[must_use]
    pub fn live_in(&self, space: SpaceKey) -> Option<&Conference> {
        self.space(space).live.map(|key| self.conference(key))
    }

    /// Every conference by its start; of those that start together, the one added first comes first.
    pub(crate) const fn conferences_by_start(&self) -> &BTreeSet<(Timestamp, ConferenceKey)> {
        &self.by_start
    }

    /// Those that are live, by start.
    pub(crate) const fn live_by_start(&self) -> &BTreeSet<(Timestamp, ConferenceKey)> {
        &self.live
    }

    /// Those that are over, by end.
    pub(crate) const fn conferences_by_end(&self) -> &BTreeSet<(Timestamp, ConferenceKey)> {
        &self.by_end
    }

    pub(super) fn open_conference(&mut self, conference: Conference) -> ConferenceKey {
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
    ) -> Result<(), ActError> {
        let conference = &mut self.conferences[key.0 as usize];
        if at < conference.start {
            return Err(ActError::TooEarly);
        }
        conference.end = Some(at);
        self.live.remove(&(conference.start, key));
        self.by_end.insert((at, key));
        self.spaces[space.0 as usize].live = None;
        Ok(())
    }
}
