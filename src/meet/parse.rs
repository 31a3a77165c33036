//! Parses wire types into the model, whose values are valid by construction.
//!
//! A field that is missing or empty is absent. An item whose name, or whose time as a session or a conference, cannot be
//! parsed is skipped in a list; of any other field the item does without. Both are counted in [`UnreadableFields`], because
//! a shorter list would look like people who left. A field that nobody reads is not parsed. A participant without any of
//! the three users is of kind [`ParticipantKind::Unknown`], because Google may add kinds.

use jiff::Timestamp;

use super::unreadable::{UnreadableField, UnreadableFields};
use super::{borrowed_wire, wire};
use crate::model::resources::display_name;
use crate::model::{
    Conference, ConferenceName, InvalidName, MeetingCode, Participant, ParticipantKind, ParticipantName, Session,
    SessionName, Space, SpaceName, UserName,
};

/// Which part of a resource could not be parsed. Never the part itself, which may name a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unreadable {what}")]
pub struct Unreadable {
    pub what: &'static str,
    pub field: UnreadableField,
}

impl From<InvalidName> for Unreadable {
    fn from(invalid: InvalidName) -> Self {
        Self { what: invalid.kind, field: UnreadableField::Name }
    }
}

/// A resource that is parsed from the wire.
pub(crate) trait FromWire<W>: Sized {
    /// Parses a resource. What it can do without is counted in `left_out`.
    ///
    /// # Errors
    /// [`Unreadable`] if the resource is of no use without the field.
    fn from_wire(wire: W, left_out: &mut UnreadableFields) -> Result<Self, Unreadable>;
}

/// Parses the items of a list. Those that cannot be parsed are skipped and counted.
pub(crate) fn items<W, T: FromWire<W>>(items: Vec<W>, unreadable: &mut UnreadableFields) -> Vec<T> {
    let mut read = Vec::with_capacity(items.len());
    for item in items {
        match T::from_wire(item, unreadable) {
            Ok(item) => read.push(item),
            Err(wrong) => unreadable.skipped(wrong.field),
        }
    }
    read
}

impl FromWire<wire::ConferenceRecord> for Conference {
    fn from_wire(record: wire::ConferenceRecord, left_out: &mut UnreadableFields) -> Result<Self, Unreadable> {
        Ok(Self {
            name: ConferenceName::parse(&record.name)?,
            start: required_time(
                record.start_time.as_deref(),
                "start time of a conference",
                UnreadableField::StartTime,
            )?,
            // Without an end it would be live.
            end: time(record.end_time.as_deref(), "end time of a conference", UnreadableField::EndTime)?,
            space: optional(record.space.as_deref(), SpaceName::parse, UnreadableField::Space, left_out),
            // Nothing depends on it.
            expire: time(record.expire_time.as_deref(), "expire time of a conference", UnreadableField::EndTime)
                .unwrap_or(None),
        })
    }
}

impl FromWire<wire::Participant> for Participant {
    fn from_wire(participant: wire::Participant, left_out: &mut UnreadableFields) -> Result<Self, Unreadable> {
        Self::from_wire(borrowed_wire::Participant::from(&participant), left_out)
    }
}

impl FromWire<borrowed_wire::Participant<'_>> for Participant {
    fn from_wire(
        participant: borrowed_wire::Participant<'_>,
        left_out: &mut UnreadableFields,
    ) -> Result<Self, Unreadable> {
        use borrowed_wire::{NamedUser, Text};
        let shown = |user: &NamedUser<'_>| display_name(Text::of(&user.display_name));
        let participant_name = ParticipantName::parse(Text::of(&participant.name))?;
        let (kind, user, name) = match &participant {
            borrowed_wire::Participant { signedin_user: Some(user), .. } => {
                let account = Some(Text::of(&user.user));
                let account = optional(account, UserName::parse, UnreadableField::User, left_out);
                (ParticipantKind::SignedIn, account, display_name(Text::of(&user.display_name)))
            }
            borrowed_wire::Participant { anonymous_user: Some(guest), .. } => {
                (ParticipantKind::Anonymous, None, shown(guest))
            }
            borrowed_wire::Participant { phone_user: Some(phone), .. } => (ParticipantKind::Phone, None, shown(phone)),
            _ => (ParticipantKind::Unknown, None, None),
        };
        let earliest_start = participant.earliest_start_time.as_ref().map(|text| text.0.as_ref());
        let earliest_start = required_time(earliest_start, "start time of a participant", UnreadableField::StartTime);
        let latest_end = participant.latest_end_time.as_ref().map(|text| text.0.as_ref());
        let latest_end = time(latest_end, "end time of a participant", UnreadableField::EndTime);
        // The sessions have these times, too.
        let wrong = [earliest_start.err(), latest_end.err()];
        wrong.into_iter().flatten().for_each(|wrong| left_out.left_out(wrong.field));
        Ok(Self {
            name: participant_name,
            kind,
            user,
            display_name: name,
            earliest_start: earliest_start.ok(),
            latest_end: latest_end.unwrap_or(None),
        })
    }
}

impl FromWire<wire::ParticipantSession> for Session {
    fn from_wire(session: wire::ParticipantSession, _: &mut UnreadableFields) -> Result<Self, Unreadable> {
        Ok(Self {
            name: SessionName::parse(&session.name)?,
            start: required_time(session.start_time.as_deref(), "start time of a session", UnreadableField::StartTime)?,
            // Without an end it would be open.
            end: time(session.end_time.as_deref(), "end time of a session", UnreadableField::EndTime)?,
        })
    }
}

impl FromWire<wire::Space> for Space {
    fn from_wire(space: wire::Space, left_out: &mut UnreadableFields) -> Result<Self, Unreadable> {
        let active = space.active_conference.as_ref().map(|active| active.conference_record.as_str());
        Ok(Self {
            name: SpaceName::parse(&space.name)?,
            meeting_code: optional(
                space.meeting_code.as_deref(),
                MeetingCode::parse,
                UnreadableField::MeetingCode,
                left_out,
            ),
            active_conference: optional(active, ConferenceName::parse, UnreadableField::ActiveConference, left_out),
        })
    }
}

/// Parses a name that may be absent. An empty one is absent, and an unreadable one is left out.
fn optional<T>(
    text: Option<&str>,
    parse: fn(&str) -> Result<T, InvalidName>,
    field: UnreadableField,
    left_out: &mut UnreadableFields,
) -> Option<T> {
    let parsed = text.filter(|text| !text.is_empty()).map(parse)?;
    parsed.inspect_err(|_| left_out.left_out(field)).ok()
}

/// Parses a time that may be absent. An empty one is absent.
fn time(text: Option<&str>, what: &'static str, field: UnreadableField) -> Result<Option<Timestamp>, Unreadable> {
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| text.parse().map_err(|_| Unreadable { what, field })).transpose()
}

fn required_time(text: Option<&str>, what: &'static str, field: UnreadableField) -> Result<Timestamp, Unreadable> {
    time(text, what, field)?.ok_or(Unreadable { what, field })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn participant(json: &str) -> Result<Participant, Unreadable> {
        from_wire(serde_json::from_str::<wire::Participant>(json).unwrap())
    }

    fn from_wire<W, T: FromWire<W>>(wire: W) -> Result<T, Unreadable> {
        T::from_wire(wire, &mut UnreadableFields::default())
    }

    #[test]
    fn all_nine_fractional_digits_are_kept() {
        let json = r#"{"name":"conferenceRecords/c/participants/p/participantSessions/s",
            "startTime":"2026-01-05T10:00:02.123456789Z","endTime":"2026-01-05T10:00:02.123456790Z"}"#;
        let session: Session = from_wire(serde_json::from_str::<wire::ParticipantSession>(json).unwrap()).unwrap();
        assert_eq!(session.start.to_string(), "2026-01-05T10:00:02.123456789Z");
        assert_eq!(session.end.unwrap().duration_since(session.start).as_nanos(), 1);
    }

    #[test]
    fn each_kind_of_user_is_recognized_and_a_new_one_is_unknown() {
        let of =
            |user: &str| participant(&format!(r#"{{"name":"conferenceRecords/c/participants/p"{user}}}"#)).unwrap();
        let ada = of(r#","signedinUser":{"user":"users/12","displayName":"Ada"}"#);
        assert_eq!((ada.kind, ada.user.unwrap().as_str()), (ParticipantKind::SignedIn, "users/12"));
        assert_eq!(ada.display_name.as_deref(), Some("Ada"));
        assert_eq!(of(r#","anonymousUser":{"displayName":"Guest"}"#).kind, ParticipantKind::Anonymous);
        assert_eq!(of(r#","phoneUser":{"displayName":"+1 ***"}"#).kind, ParticipantKind::Phone);
        assert_eq!(of(r#","hologramUser":{"displayName":"Eve"}"#).kind, ParticipantKind::Unknown);
        assert_eq!(of(r#","signedinUser":{}"#).kind, ParticipantKind::SignedIn);
    }

    #[test]
    fn an_account_of_another_form_is_left_out_and_the_participant_stays() {
        let json = r#"{"name":"conferenceRecords/c/participants/p","signedinUser":{"user":"12","displayName":"Ada"}}"#;
        let ada = participant(json).unwrap();
        assert_eq!((ada.kind, ada.user), (ParticipantKind::SignedIn, None));
    }

    #[test]
    fn what_is_empty_is_absent() {
        let json = r#"{"name":"conferenceRecords/c/participants/p","earliestStartTime":"","latestEndTime":"",
            "anonymousUser":{"displayName":""}}"#;
        let guest = participant(json).unwrap();
        assert_eq!((guest.earliest_start, guest.latest_end, guest.display_name), (None, None, None));
        let space = r#"{"name":"spaces/s","meetingCode":"","activeConference":{}}"#;
        let space: Space = from_wire(serde_json::from_str::<wire::Space>(space).unwrap()).unwrap();
        assert_eq!((space.meeting_code, space.active_conference), (None, None));
        assert!(serde_json::from_str::<wire::Participants>("{}").unwrap().participants.is_empty());
    }

    #[test]
    fn an_unreadable_name_or_time_is_named_and_not_quoted() {
        let wrong = participant(r#"{"name":"conferenceRecords/c/participants/ada@example.com/x"}"#).unwrap_err();
        assert_eq!(wrong.to_string(), "unreadable participant name");
        let record = wire::ConferenceRecord { name: "conferenceRecords/c".to_owned(), ..Default::default() };
        let wrong = from_wire::<_, Conference>(record).unwrap_err();
        assert_eq!(
            (wrong.to_string().as_str(), wrong.field),
            ("unreadable start time of a conference", UnreadableField::StartTime)
        );
    }

    #[test]
    fn an_end_that_cannot_be_read_is_not_an_open_session_or_a_live_conference() {
        let session = wire::ParticipantSession {
            name: "conferenceRecords/c/participants/p/participantSessions/s".to_owned(),
            start_time: Some("2026-01-05T10:00:00Z".to_owned()),
            end_time: Some("yesterday".to_owned()),
        };
        assert_eq!(from_wire::<_, Session>(session).unwrap_err().field, UnreadableField::EndTime);
        let record = wire::ConferenceRecord {
            name: "conferenceRecords/c".to_owned(),
            start_time: Some("2026-01-05T10:00:00Z".to_owned()),
            end_time: Some("yesterday".to_owned()),
            ..Default::default()
        };
        assert_eq!(from_wire::<_, Conference>(record).unwrap_err().field, UnreadableField::EndTime);
    }

    #[test]
    fn a_participant_does_without_times_that_cannot_be_read_and_they_are_counted() {
        let json =
            r#"{"name":"conferenceRecords/c/participants/p","latestEndTime":"yesterday","earliestStartTime":"x"}"#;
        let mut left_out = UnreadableFields::default();
        let read = Participant::from_wire(serde_json::from_str::<wire::Participant>(json).unwrap(), &mut left_out);
        assert_eq!((read.unwrap().latest_end, left_out.is_incomplete()), (None, false));
        assert_eq!(
            left_out.iter().collect::<Vec<_>>(),
            [(UnreadableField::StartTime, 1), (UnreadableField::EndTime, 1)]
        );
    }

    #[test]
    fn the_year_9999_in_a_field_that_is_not_used_spoils_no_record() {
        let json = r#"{"name":"conferenceRecords/c","startTime":"2026-01-05T10:00:00Z",
            "expireTime":"9999-12-31T23:59:59.999999999Z"}"#;
        let mut left_out = UnreadableFields::default();
        let record = serde_json::from_str::<wire::ConferenceRecord>(json).unwrap();
        assert!(Conference::from_wire(record, &mut left_out).is_ok());
        assert_eq!(left_out, UnreadableFields::default());
    }
}
