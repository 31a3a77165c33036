//! What of an answer could not be read: which fields, how often, and whether the answer hides something because of it.
//!
//! What can be read is used. What cannot is counted here, and nothing may be inferred from its absence: an answer that is
//! [incomplete](UnreadableFields::is_incomplete) shows who is there, and never who is not.

use super::request::Method;

/// A field that could not be read. The values of the metric label `field`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnreadableField {
    /// A whole item of a list, which is no object.
    Item,
    /// The resource name.
    Name,
    StartTime,
    EndTime,
    Space,
    /// The user of a participant, or the name of the account.
    User,
    DisplayName,
    MeetingCode,
    /// The conference that is live in a space.
    ActiveConference,
}

impl UnreadableField {
    /// The name in logs and labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Item => "item",
            Self::Name => "name",
            Self::StartTime => "start_time",
            Self::EndTime => "end_time",
            Self::Space => "space",
            Self::User => "user",
            Self::DisplayName => "display_name",
            Self::MeetingCode => "meeting_code",
            Self::ActiveConference => "active_conference",
        }
    }

    /// The fields that the answer to a method has, so that each has a metric series from the start.
    pub(super) const fn of(method: Method) -> &'static [Self] {
        match method {
            Method::ListConferences => &[Self::Item, Self::Name, Self::StartTime, Self::EndTime, Self::Space],
            Method::GetConference => &[Self::Space],
            Method::ListParticipants => {
                &[Self::Item, Self::Name, Self::StartTime, Self::EndTime, Self::User, Self::DisplayName]
            }
            Method::GetParticipant => &[Self::StartTime, Self::EndTime, Self::User, Self::DisplayName],
            Method::ListSessions => &[Self::Item, Self::Name, Self::StartTime, Self::EndTime],
            Method::GetSession | Method::GetPerson => &[],
            Method::GetSpace => &[Self::MeetingCode, Self::ActiveConference],
            Method::BatchGetPeople => &[Self::Item],
        }
    }
}

/// The fields of one answer that could not be read. Empty for nearly every answer, and then it takes no memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnreadableFields {
    counts: Vec<(UnreadableField, u32)>,
    incomplete: bool,
}

impl UnreadableFields {
    /// Counts a field that is left out of an item. The item itself is used.
    pub(crate) fn left_out(&mut self, field: UnreadableField) {
        // Whether a conference is live is then not known.
        self.incomplete |= field == UnreadableField::ActiveConference;
        self.count(field, 1);
    }

    /// Counts an item that is skipped because of this field.
    pub(crate) fn skipped(&mut self, field: UnreadableField) {
        self.incomplete = true;
        self.count(field, 1);
    }

    /// Adds those of another page of the same list.
    pub(crate) fn add(&mut self, other: &Self) {
        self.incomplete |= other.incomplete;
        other.counts.iter().for_each(|(field, count)| self.count(*field, *count));
    }

    fn count(&mut self, field: UnreadableField, by: u32) {
        match self.counts.iter_mut().find(|(known, _)| *known == field) {
            Some((_, count)) => *count = count.saturating_add(by),
            None => self.counts.push((field, by)),
        }
    }

    /// Returns whether the answer may hide something that exists, so that nothing follows from what it does not show.
    #[must_use]
    pub const fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// Returns each field with how often it could not be read.
    pub fn iter(&self) -> impl Iterator<Item = (UnreadableField, u32)> {
        self.counts.iter().copied()
    }
}
