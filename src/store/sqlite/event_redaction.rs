//! Removes a forgotten person from one row or one event.

use super::pseudonym::ErasureKey;
use crate::model::{Event, ParticipantName, ParticipantRef, SessionName};
use crate::store::error::StoreError;
use crate::store::rows::ParticipantRow;

/// Removes the person's data from a row, except for Google's name of the participant.
pub(super) fn redact_row(row: &mut ParticipantRow) {
    (row.user, row.display_name, row.email, row.affiliation) = (None, None, None, None);
}

/// Removes the participant of this name from an event. `about` is `Some` if the event is about that participant, and
/// holds Google's name of the session if there is one. Returns whether the event named the participant.
pub(super) fn redact_event(
    event: &mut Event,
    key: &ErasureKey,
    name: &ParticipantName,
    about: Option<Option<&SessionName>>,
) -> Result<bool, StoreError> {
    let replacement = key.participant(name)?;
    let mut found = false;
    if let Some(session) = about {
        if let Some(person) = &mut event.participant {
            found = true;
            redact_person(person, &replacement);
        }
        if let (Some(named), Some(session)) = (&mut event.session, session) {
            named.name = key.session(session, &replacement)?;
        }
    }
    let rows = event.attendance.as_mut().and_then(|attendance| attendance.participants.as_mut());
    for row in rows.into_iter().flatten().filter(|row| row.participant.name == *name) {
        found = true;
        redact_person(&mut row.participant, &replacement);
    }
    Ok(found)
}

fn redact_person(person: &mut ParticipantRef, replacement: &ParticipantName) {
    let (name, kind) = (replacement.clone(), person.kind);
    *person = ParticipantRef { name, kind, user: None, display_name: None, email: None, affiliation: None };
}

/// Parses the body of a stored event.
pub(super) fn parse_body(body: &str) -> Result<Event, StoreError> {
    serde_json::from_str(body).map_err(|_| StoreError::Unreadable("the body of an event"))
}

/// Formats the body of a stored event.
pub(super) fn format_body(event: &Event) -> Result<String, StoreError> {
    serde_json::to_string(event).map_err(|_| StoreError::Unreadable("the body of an event"))
}
