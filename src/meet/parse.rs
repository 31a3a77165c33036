//! Parses wire types into the model, whose values are valid by construction.
//!
//! A field that is missing or empty is absent. A field that cannot be parsed, such as a name of another form or an invalid
//! time, makes the whole response [`Unreadable`]: a shorter list would look like people who left. A participant without any
//! of the three users is of kind [`ParticipantKind::Unknown`], because Google may add kinds.

use jiff::Timestamp;

use super::{borrowed_wire, wire};
use crate::model::resources::display_name;
use crate::model::{
    Conference, ConferenceName, InvalidName, MeetingCode, Participant, ParticipantKind, ParticipantName, Session,
    SessionName, Space, SpaceName, UserName,
};

/// Which part of a response could not be parsed. Never the part itself, which may name a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unreadable {0}")]
pub struct Unreadable(pub &'static str);

impl From<InvalidName> for Unreadable {
    fn from(invalid: InvalidName) -> Self {
        Self(invalid.kind)
    }
}

impl TryFrom<wire::ConferenceRecord> for Conference {
    type Error = Unreadable;

    fn try_from(record: wire::ConferenceRecord) -> Result<Self, Unreadable> {
        Ok(Self {
            name: ConferenceName::parse(&record.name)?,
            space: optional(record.space.as_deref(), SpaceName::parse)?,
            start: required_time(record.start_time.as_deref(), "start time of a conference")?,
            end: time(record.end_time.as_deref(), "end time of a conference")?,
            expire: time(record.expire_time.as_deref(), "expire time of a conference")?,
        })
    }
}

impl TryFrom<wire::Participant> for Participant {
    type Error = Unreadable;

    fn try_from(participant: wire::Participant) -> Result<Self, Unreadable> {
        borrowed_wire::Participant::from(&participant).try_into()
    }
}

impl TryFrom<borrowed_wire::Participant<'_>> for Participant {
    type Error = Unreadable;

    fn try_from(participant: borrowed_wire::Participant<'_>) -> Result<Self, Unreadable> {
        let (kind, user, name) = match &participant {
            borrowed_wire::Participant { signedin_user: Some(user), .. } => {
                // Nothing depends on the account, so one of another form is left out.
                (ParticipantKind::SignedIn, UserName::parse(&user.user).ok(), display_name(&user.display_name))
            }
            borrowed_wire::Participant { anonymous_user: Some(guest), .. } => {
                (ParticipantKind::Anonymous, None, display_name(&guest.display_name))
            }
            borrowed_wire::Participant { phone_user: Some(phone), .. } => {
                (ParticipantKind::Phone, None, display_name(&phone.display_name))
            }
            _ => (ParticipantKind::Unknown, None, None),
        };
        let text = |text: &Option<borrowed_wire::Text<'_>>, what| time(text.as_ref().map(|text| text.0.as_ref()), what);
        Ok(Self {
            name: ParticipantName::parse(&participant.name)?,
            kind,
            user,
            display_name: name,
            earliest_start: text(&participant.earliest_start_time, "start time of a participant")?,
            latest_end: text(&participant.latest_end_time, "end time of a participant")?,
        })
    }
}

impl TryFrom<wire::ParticipantSession> for Session {
    type Error = Unreadable;

    fn try_from(session: wire::ParticipantSession) -> Result<Self, Unreadable> {
        Ok(Self {
            name: SessionName::parse(&session.name)?,
            start: required_time(session.start_time.as_deref(), "start time of a session")?,
            end: time(session.end_time.as_deref(), "end time of a session")?,
        })
    }
}

impl TryFrom<wire::Space> for Space {
    type Error = Unreadable;

    fn try_from(space: wire::Space) -> Result<Self, Unreadable> {
        let active = space.active_conference.as_ref().map(|active| active.conference_record.as_str());
        Ok(Self {
            name: SpaceName::parse(&space.name)?,
            // Only shown to people, so a code of another form is left out.
            meeting_code: space.meeting_code.and_then(|code| MeetingCode::parse(&code).ok()),
            active_conference: optional(active, ConferenceName::parse)?,
        })
    }
}

/// Parses a name that may be absent. An empty one is absent.
fn optional<T>(text: Option<&str>, parse: fn(&str) -> Result<T, InvalidName>) -> Result<Option<T>, Unreadable> {
    Ok(text.filter(|text| !text.is_empty()).map(parse).transpose()?)
}

/// Parses a time that may be absent. An empty one is absent.
fn time(text: Option<&str>, what: &'static str) -> Result<Option<Timestamp>, Unreadable> {
    text.filter(|text| !text.is_empty()).map(|text| text.parse().map_err(|_| Unreadable(what))).transpose()
}

fn required_time(text: Option<&str>, what: &'static str) -> Result<Timestamp, Unreadable> {
    time(text, what)?.ok_or(Unreadable(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn participant(json: &str) -> Result<Participant, Unreadable> {
        serde_json::from_str::<wire::Participant>(json).unwrap().try_into()
    }

    #[test]
    fn all_nine_fractional_digits_are_kept() {
        let json = r#"{"name":"conferenceRecords/c/participants/p/participantSessions/s",
            "startTime":"2026-01-05T10:00:02.123456789Z","endTime":"2026-01-05T10:00:02.123456790Z"}"#;
        let session = Session::try_from(serde_json::from_str::<wire::ParticipantSession>(json).unwrap()).unwrap();
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
        let space: Space =
            serde_json::from_str::<wire::Space>(r#"{"name":"spaces/s","meetingCode":"","activeConference":{}}"#)
                .unwrap()
                .try_into()
                .unwrap();
        assert_eq!((space.meeting_code, space.active_conference), (None, None));
        assert!(serde_json::from_str::<wire::Participants>("{}").unwrap().participants.is_empty());
    }

    #[test]
    fn an_unreadable_name_or_time_is_named_and_not_quoted() {
        let wrong = participant(r#"{"name":"conferenceRecords/c/participants/ada@example.com/x"}"#).unwrap_err();
        assert_eq!(wrong.to_string(), "unreadable participant name");
        let json = r#"{"name":"conferenceRecords/c/participants/p","latestEndTime":"yesterday"}"#;
        assert_eq!(participant(json).unwrap_err().to_string(), "unreadable end time of a participant");
        let record = wire::ConferenceRecord { name: "conferenceRecords/c".to_owned(), ..Default::default() };
        assert!(Conference::try_from(record).is_err());
    }
}
