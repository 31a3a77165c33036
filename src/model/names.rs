//! Google's resource names and the names that an operator gives, as types that cannot be confused with one another.
//!
//! A name is checked once, where it is parsed, and is cheap to clone afterwards. None of them is a person's name, but a
//! participant's name and a user's name still identify a person. So their `Debug` form is for tests only, and they never
//! go into a log line.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest resource name that is accepted from Google, in bytes. Real ones stay under 200.
const MAX_NAME_BYTES: usize = 512;

/// A text that is no valid name of a type. The message says which kind of name was expected and never repeats the text,
/// because the text may identify a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind} (expected {shape})")]
pub struct InvalidName {
    /// What kind of name was expected, such as `conference record name`.
    pub kind: &'static str,
    /// What such a name looks like.
    pub shape: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $shape:expr, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses a name of this type.
            ///
            /// # Errors
            /// [`InvalidName`] if `text` does not have the shape of this type.
            pub fn parse(text: &str) -> Result<Self, InvalidName> {
                let valid: fn(&str) -> bool = $valid;
                if text.len() <= MAX_NAME_BYTES && valid(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidName { kind: $kind, shape: $shape })
                }
            }

            /// Returns the name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

name!(
    /// `conferenceRecords/{id}`: one conference, from its first join to its last leave.
    ConferenceName,
    "conference record name",
    "conferenceRecords/{id}",
    |text| path_of(text, &["conferenceRecords"])
);

name!(
    /// `conferenceRecords/{id}/participants/{id}`: one person in one conference.
    ParticipantName,
    "participant name",
    "conferenceRecords/{id}/participants/{id}",
    |text| path_of(text, &["conferenceRecords", "participants"])
);

name!(
    /// `conferenceRecords/{id}/participants/{id}/participantSessions/{id}`: one device's time in a conference.
    SessionName,
    "participant session name",
    "conferenceRecords/{id}/participants/{id}/participantSessions/{id}",
    |text| path_of(text, &["conferenceRecords", "participants", "participantSessions"])
);

name!(
    /// `spaces/{id}`: the meeting space that a meeting code belongs to.
    SpaceName,
    "space name",
    "spaces/{id}",
    |text| path_of(text, &["spaces"])
);

name!(
    /// `users/{id}`: a signed-in Google account.
    UserName,
    "user name",
    "users/{id}",
    |text| path_of(text, &["users"])
);

name!(
    /// `abc-mnop-xyz`, what people type to join. Google reuses codes, so it is never a key.
    MeetingCode,
    "meeting code",
    "abc-mnop-xyz",
    |text| {
        text.len() <= 128
            && text.split('-').count() == 3
            && text.split('-').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase()))
    }
);

name!(
    /// The operator's name for an `[[identity]]`. Safe in logs and labels.
    IdentityName,
    "identity name",
    OPERATOR_NAME,
    operator_name
);

name!(
    /// The operator's name for a `[[target]]`. Safe in logs and labels.
    TargetName,
    "target name",
    OPERATOR_NAME,
    operator_name
);

name!(
    /// The operator's name for a `[[webhook]]`. Safe in logs and labels.
    EndpointName,
    "webhook name",
    OPERATOR_NAME,
    operator_name
);

impl MeetingCode {
    /// Reads a meeting code in the forms in which people have it at hand: `abc-mnop-xyz`, the same in upper case or without
    /// dashes, and the link of the meeting with whatever follows the code.
    ///
    /// # Errors
    /// [`InvalidName`] if there is no code in `text`. A link with a nickname (`/lookup/…`) has none.
    pub fn from_input(text: &str) -> Result<Self, InvalidName> {
        let text = text.get(..MAX_NAME_BYTES).unwrap_or(text).trim().trim_matches(['<', '>']).to_ascii_lowercase();
        let bare = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(&text);
        let path = bare.strip_prefix("meet.google.com/").unwrap_or(bare);
        let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        let code: String = path.chars().map(|c| if is_dash(c) { '-' } else { c }).collect();
        match (code.get(..3), code.get(3..7), code.get(7..)) {
            (Some(first), Some(second), Some(third)) if third.len() == 3 && !code.contains('-') => {
                Self::parse(&format!("{first}-{second}-{third}"))
            }
            _ => Self::parse(&code),
        }
    }
}

/// Returns whether a character is one of the dashes that editors put in the place of a hyphen.
fn is_dash(c: char) -> bool {
    matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}')
}

/// The digits after the group's name and a dot in the name of a target that stands for one subject.
const MEMBER_DIGITS: usize = 12;

impl TargetName {
    /// Returns the section of subjects whose member this target is, as far as its name tells: `staff` of
    /// `staff.ff8d9819fc0e`.
    #[must_use]
    pub fn group(&self) -> Option<Self> {
        let (group, digits) = self.as_str().rsplit_once('.')?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_member = digits.len() == MEMBER_DIGITS && digits.bytes().all(is_hex);
        is_member.then(|| Self::parse(group).ok())?
    }

    /// Returns whether this is the target that was named, or a member of the section of subjects that was named.
    #[must_use]
    pub fn answers_to(&self, named: &Self) -> bool {
        self == named || self.group().as_ref() == Some(named)
    }
}

impl ParticipantName {
    /// Returns the name of the participant's conference.
    #[must_use]
    pub fn conference(&self) -> ConferenceName {
        ConferenceName(parent(self.as_str()).into())
    }
}

impl SessionName {
    /// Returns the name of the session's participant.
    #[must_use]
    pub fn participant(&self) -> ParticipantName {
        ParticipantName(parent(self.as_str()).into())
    }
}

/// Returns a checked name without its last two segments.
fn parent(name: &str) -> &str {
    let cut = name.rmatch_indices('/').nth(1).map_or(0, |(at, _)| at);
    &name[..cut]
}

/// Returns whether `text` consists of these collections, each followed by an id.
fn path_of(text: &str, collections: &[&str]) -> bool {
    let mut segments = text.split('/');
    collections.iter().all(|collection| segments.next() == Some(collection) && segments.next().is_some_and(is_id))
        && segments.next().is_none()
}

/// Returns whether `id` is a valid id. Ids are opaque. Accepted is what may stand unescaped in one segment of a URL's path,
/// so that no name can address another resource.
fn is_id(id: &str) -> bool {
    !id.is_empty()
        && id != "."
        && id != ".."
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b':' | b'@' | b'+' | b'='))
}

/// The shape of the names that operators give.
const OPERATOR_NAME: &str = "1 to 64 letters from a to z or A to Z (no umlauts, accents or spaces), digits, '.', '_', '-' or \
     '@', beginning with a letter or digit";

fn operator_name(text: &str) -> bool {
    text.len() <= 64
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_parents_are_derived_from_a_name() {
        let session = SessionName::parse("conferenceRecords/c-1/participants/p/participantSessions/s").unwrap();
        assert_eq!(session.participant().as_str(), "conferenceRecords/c-1/participants/p");
        assert_eq!(session.participant().conference().as_str(), "conferenceRecords/c-1");
    }

    #[test]
    fn a_target_answers_to_its_own_name_and_to_that_of_its_section_of_subjects() {
        let target = |name: &str| TargetName::parse(name).unwrap();
        let member = target("staff.ff8d9819fc0e");
        assert!(member.answers_to(&member) && member.answers_to(&target("staff")));
        assert!(!member.answers_to(&target("staf")) && !target("staff.room").answers_to(&target("staff")));
    }

    #[test]
    fn a_name_that_could_address_another_path_of_a_url_is_refused() {
        for bad in [
            "conferenceRecords/",
            "conferenceRecords/..",
            "conferenceRecords/a/b",
            "conferenceRecords/a?b",
            "spaces/a",
            "conferenceRecords/a b",
            "",
        ] {
            assert!(ConferenceName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_meeting_code_is_taken_as_people_paste_it() {
        for good in [
            "abc-mnop-xyz",
            "ABC-MNOP-XYZ",
            "abcmnopxyz",
            "AbcMnopXyz",
            " abc-mnop-xyz\n",
            "abc\u{2013}mnop\u{2013}xyz",
            "https://meet.google.com/abc-mnop-xyz",
            "http://meet.google.com/abc-mnop-xyz",
            "HTTPS://Meet.Google.com/ABC-MNOP-XYZ",
            "meet.google.com/abc-mnop-xyz",
            "https://meet.google.com/abcmnopxyz",
            "https://meet.google.com/abc-mnop-xyz/",
            "https://meet.google.com/abc-mnop-xyz?authuser=1&hs=122#room",
            "<https://meet.google.com/abc-mnop-xyz>",
        ] {
            let code = MeetingCode::from_input(good);
            assert_eq!(code.as_ref().map(MeetingCode::as_str), Ok("abc-mnop-xyz"), "{good:?}");
        }
        let long = "a".repeat(10_000);
        for bad in [
            "",
            "https://meet.google.com/",
            "https://meet.google.com/lookup/standup",
            "https://example.com/abc-mnop-xyz",
            "https://meet.google.com.example.com/abc-mnop-xyz",
            "https://zoom.us/j/123456789",
            "not a code",
            "abc-mnop",
            "abcmnopxy",
            "abcmnopxyzq",
            "ab\u{e9}mnopxyz",
            "spaces/abc",
            &long,
        ] {
            assert!(MeetingCode::from_input(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_meeting_code_is_three_lower_case_words() {
        assert!(MeetingCode::parse("abc-mnop-xyz").is_ok());
        for bad in ["abc-mnop", "abc-Mnop-xyz", "abc--xyz", "abc-mnop-xyz-q", "abc-mn1p-xyz"] {
            assert!(MeetingCode::parse(bad).is_err(), "{bad}");
        }
    }
}
