//! Redacts who was present: in full, initials, a pseudonym, or nothing.
//!
//! A pure function of the event, the endpoint's settings and the installation's key. Unless names are sent in full, Google's
//! ids of people are replaced too, because a participant's id is the id of its account. So are the ids of events: they are
//! hashes over names and times, and who knows an account could compute them and look for them.

use std::borrow::Cow;

use super::names::Names;
use crate::model::{
    Attendance, Event, EventId, EventType, ParticipantKind, ParticipantName, ParticipantRef, SessionName, SessionRef,
    UserName,
};
use crate::pseudonym::PseudonymKey;

/// How many characters of it make a person's name: 40 bits, enough to keep the people of an installation apart.
const NAME_CHARS: usize = 8;

/// An endpoint replaces names, and there is no key for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no key to replace names with")]
pub struct NoKey;

/// Redacts the names in the events of one endpoint.
#[derive(Debug, Clone)]
pub struct NameRedaction {
    /// `None` if names are sent in full.
    hide: Option<(Hide, PseudonymKey)>,
    /// The kinds of participants that an attendance list keeps; empty for all.
    kinds: Vec<ParticipantKind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hide {
    ButInitials,
    BehindPseudonym,
    Whole,
}

impl NameRedaction {
    /// Makes a redaction to this extent, which keeps the attendance rows of these kinds; none means all.
    ///
    /// # Errors
    /// [`NoKey`] if names are to be replaced and there is no key.
    pub fn new(names: Names, key: Option<&PseudonymKey>, kinds: &[ParticipantKind]) -> Result<Self, NoKey> {
        let hide = match names {
            Names::Full => None,
            Names::Initials => Some(Hide::ButInitials),
            Names::Pseudonym => Some(Hide::BehindPseudonym),
            Names::None => Some(Hide::Whole),
        };
        let hide = match hide {
            None => None,
            Some(hide) => Some((hide, key.cloned().ok_or(NoKey)?)),
        };
        Ok(Self { hide, kinds: kinds.to_vec() })
    }

    /// Returns the id under which the endpoint gets an event, and by which later events refer to it. It depends on nothing but
    /// the event's id and the installation's key.
    #[must_use]
    pub fn id<'e>(&self, id: &'e EventId) -> Cow<'e, EventId> {
        match &self.hide {
            None => Cow::Borrowed(id),
            Some((_, key)) => Cow::Owned(id_keyed(id, key)),
        }
    }

    /// Returns the event as the endpoint may see it, byte for byte as it was if there is nothing to redact.
    ///
    /// # Errors
    /// If the stored text is not an event.
    pub fn apply<'e>(&self, event: EventType, frozen: &'e str) -> serde_json::Result<Cow<'e, str>> {
        let by_kind = event == EventType::ConferenceEnded && !self.kinds.is_empty();
        if self.hide.is_none() && !by_kind {
            return Ok(Cow::Borrowed(frozen));
        }
        // Fields that this version does not know are dropped: they could name somebody.
        let mut event: Event = serde_json::from_str(frozen)?;
        if let Some(rows) = rows_of(event.attendance.as_mut()).filter(|_| by_kind) {
            rows.retain(|row| self.kinds.contains(&row.participant.kind));
        }
        if let Some((hide, key)) = &self.hide {
            event.id = id_keyed(&event.id, key);
            event.corrects = event.corrects.map(|id| id_keyed(&id, key));
            event.retracts = event.retracts.map(|id| id_keyed(&id, key));
            event.participant = event.participant.map(|person| hidden(person, *hide, key)).transpose()?;
            event.session = event.session.map(|session| with_ids_hidden(&session, key)).transpose()?;
            for row in rows_of(event.attendance.as_mut()).into_iter().flatten() {
                row.participant = hidden(row.participant.clone(), *hide, key)?;
            }
        }
        serde_json::to_string(&event).map(Cow::Owned)
    }
}

fn id_keyed(id: &EventId, key: &PseudonymKey) -> EventId {
    EventId::from_digest(&key.digest("event", id.as_str()))
}

fn rows_of(attendance: Option<&mut Attendance>) -> Option<&mut Vec<crate::model::AttendanceRow>> {
    attendance?.participants.as_mut()
}

fn hidden(person: ParticipantRef, hide: Hide, key: &PseudonymKey) -> serde_json::Result<ParticipantRef> {
    let name = ParticipantName::parse(&ids_replaced(person.name.as_str(), key)).map_err(custom)?;
    if hide != Hide::BehindPseudonym {
        let initials = person.display_name.as_deref().map(initials).filter(|_| hide == Hide::ButInitials);
        let display_name = initials.filter(|initials| !initials.is_empty()).map(Into::into);
        return Ok(ParticipantRef { name, user: None, display_name, email: None, ..person });
    }
    // An account is the same person in every conference; without an account, a participant is a new person each time.
    let own = person.user.as_ref().map_or(person.name.as_str(), UserName::as_str);
    let pseudonym = key.pseudonym(last_segment(own));
    let user = person.user.as_ref().map(|_| UserName::parse(&format!("users/{pseudonym}"))).transpose();
    let display_name = person.display_name.map(|_| format!("Person {}", &pseudonym[..NAME_CHARS]).into());
    let email = person.email.map(|_| format!("{pseudonym}@pseudonym.invalid").into());
    Ok(ParticipantRef { name, user: user.map_err(custom)?, display_name, email, ..person })
}

fn with_ids_hidden(session: &SessionRef, key: &PseudonymKey) -> serde_json::Result<SessionRef> {
    let name = SessionName::parse(&ids_replaced(session.name.as_str(), key)).map_err(custom)?;
    Ok(SessionRef { name, ..session.clone() })
}

/// Replaces the ids behind the conference in the name of a participant or session.
fn ids_replaced(name: &str, key: &PseudonymKey) -> String {
    let segments = name.split('/').enumerate();
    let replaced = segments.map(|(at, segment)| match at {
        // The conference and the collection names stay.
        0 | 1 => Cow::Borrowed(segment),
        at if at % 2 == 0 => Cow::Borrowed(segment),
        _ => Cow::Owned(key.pseudonym(segment)),
    });
    replaced.collect::<Vec<_>>().join("/")
}

fn last_segment(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Returns the first letters of the first and the last word.
fn initials(name: &str) -> String {
    let mut letters = name.split_whitespace().filter_map(|word| word.chars().find(|c| c.is_alphanumeric()));
    let (first, last) = (letters.next(), letters.next_back());
    first.into_iter().chain(last).flat_map(|letter| letter.to_uppercase().chain(['.'])).collect()
}

fn custom(error: crate::model::InvalidName) -> serde_json::Error {
    serde::ser::Error::custom(error)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::format::samples;
    use super::*;

    fn redaction(names: Names, kinds: &[ParticipantKind]) -> NameRedaction {
        NameRedaction::new(names, Some(&PseudonymKey::new(vec![5; 32])), kinds).unwrap()
    }

    fn applied(names: Names, event: &Event) -> Value {
        let frozen = serde_json::to_string(event).unwrap();
        serde_json::from_str(&redaction(names, &[]).apply(event.event, &frozen).unwrap()).unwrap()
    }

    fn of_type(event: EventType) -> Event {
        samples().into_iter().find(|sample| sample.event == event).unwrap()
    }

    #[test]
    fn with_full_names_an_event_is_unchanged() {
        let frozen = r#"{"schema": 1,  "odd": true}"#;
        let kept = redaction(Names::Full, &[ParticipantKind::Phone]).apply(EventType::ParticipantLeft, frozen).unwrap();
        assert!(matches!(kept, Cow::Borrowed(text) if text == frozen));
    }

    #[test]
    fn no_personal_data_is_left_in_any_event() {
        for event in samples() {
            for names in [Names::Initials, Names::Pseudonym, Names::None] {
                let text = applied(names, &event).to_string();
                for personal in
                    ["O'Brien", "channel", "obrien@", "112233", "Grace", "participants/guest", "Sessions/7\""]
                {
                    assert!(!text.contains(personal), "{personal} in {text}");
                }
            }
        }
    }

    #[test]
    fn each_choice_replaces_name_user_and_address() {
        let event = of_type(EventType::ParticipantJoined);
        let person = |names| {
            let shown = applied(names, &event)["participant"].take();
            [shown["display_name"].clone(), shown["user"].clone(), shown["email"].clone()]
        };
        assert_eq!(person(Names::None), [Value::Null, Value::Null, Value::Null]);
        assert_eq!(person(Names::Initials), [json!("O.X."), Value::Null, Value::Null]);
        let [name, user, email] = person(Names::Pseudonym);
        let id = user.as_str().unwrap().strip_prefix("users/").unwrap();
        assert_eq!(email, format!("{id}@pseudonym.invalid"));
        assert_eq!(name, format!("Person {}", &id[..NAME_CHARS]));
        assert_eq!(id.len(), crate::pseudonym::LENGTH);
    }

    #[test]
    fn a_person_has_the_same_pseudonym_in_every_event_and_field() {
        let joined = applied(Names::Pseudonym, &of_type(EventType::ParticipantJoined));
        let ended = applied(Names::Pseudonym, &of_type(EventType::ConferenceEnded));
        assert_eq!(ended["attendance"]["participants"][0]["participant"], joined["participant"]);
        let session = joined["session"]["name"].as_str().unwrap();
        assert!(session.starts_with(&format!("{}/", joined["participant"]["name"].as_str().unwrap())), "{session}");
        // The participant's id is the account's.
        let id = joined["participant"]["user"].as_str().unwrap().trim_start_matches("users/");
        assert!(joined["participant"]["name"].as_str().unwrap().ends_with(id));
    }

    #[test]
    fn another_installation_has_other_pseudonyms() {
        assert_ne!(
            PseudonymKey::new(vec![1; 32]).pseudonym("112233"),
            PseudonymKey::new(vec![2; 32]).pseudonym("112233")
        );
        assert_eq!(
            PseudonymKey::new(vec![1; 32]).pseudonym("112233"),
            PseudonymKey::new(vec![1; 32]).pseudonym("112233")
        );
    }

    #[test]
    fn an_attendance_list_keeps_the_rows_of_the_wanted_kinds() {
        let event = of_type(EventType::ConferenceEnded);
        let frozen = serde_json::to_string(&event).unwrap();
        let kept = redaction(Names::Full, &[ParticipantKind::Anonymous]).apply(event.event, &frozen).unwrap();
        let kept: Value = serde_json::from_str(&kept).unwrap();
        let rows = kept["attendance"]["participants"].as_array().unwrap();
        assert_eq!((rows.len(), &rows[0]["participant"]["display_name"]), (1, &json!("Grace")));
        assert_eq!(kept["attendance"]["total"], 2);
    }

    #[test]
    fn an_id_is_keyed_where_names_are_hidden_and_kept_where_they_are_not() {
        let id = of_type(EventType::ParticipantLeft).id;
        assert_eq!(&*redaction(Names::Full, &[]).id(&id), &id);
        let keyed = |byte| {
            let key = PseudonymKey::new(vec![byte; 32]);
            NameRedaction::new(Names::Initials, Some(&key), &[]).unwrap().id(&id).into_owned()
        };
        assert_eq!(keyed(1), keyed(1));
        assert_ne!(keyed(1), keyed(2), "another installation has other ids");
        assert_ne!(keyed(1), id);
        assert_eq!(EventId::parse(keyed(1).as_str()), Some(keyed(1)), "it has the form of every id");
    }

    #[test]
    fn redaction_keeps_everything_else() {
        for event in samples() {
            let mut kept: Event = serde_json::from_value(applied(Names::None, &event)).unwrap();
            let ids = redaction(Names::None, &[]);
            let keyed = |id: &Option<EventId>| id.as_ref().map(|id| ids.id(id).into_owned());
            assert_eq!((&kept.id, &kept.corrects), (&*ids.id(&event.id), &keyed(&event.corrects)));
            assert_eq!(kept.retracts, keyed(&event.retracts));
            (kept.id, kept.corrects, kept.retracts) =
                (event.id.clone(), event.corrects.clone(), event.retracts.clone());
            kept.participant = event.participant.clone();
            kept.session = event.session.clone();
            kept.attendance = event.attendance.clone();
            assert_eq!(kept, event);
        }
    }

    proptest! {
        #[test]
        fn initials_are_two_letters_at_most(name in "\\PC{0,60}") {
            prop_assert!(initials(&name).matches('.').count() <= 2);
        }
    }
}
