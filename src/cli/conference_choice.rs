//! How a user names a conference: by its name at Google, by its meeting code, or by the link of the meeting.

use crate::model::{ConferenceName, MeetingCode};

/// One conference, or all with a meeting code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ConferenceChoice {
    Name(ConferenceName),
    Code(MeetingCode),
}

impl ConferenceChoice {
    /// Parses `conferenceRecords/…`, a meeting code in any case with or without dashes, or a link to a meeting.
    ///
    /// # Errors
    /// The end of a sentence that says what is accepted.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Ok(name) = ConferenceName::parse(text) {
            return Ok(Self::Name(name));
        }
        MeetingCode::from_input(text).map(Self::Code).map_err(|_| {
            "must be conferenceRecords/…, a meeting code such as abc-mnop-xyz, or the link of a meeting".to_owned()
        })
    }

    /// Returns the name or the code.
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Name(name) => name.as_str(),
            Self::Code(code) => code.as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conference_is_named_as_people_paste_it() {
        let choice = |text: &str| ConferenceChoice::parse(text).map(|choice| choice.as_str().to_owned());
        for text in [
            "abc-mnop-xyz",
            "ABC-MNOP-XYZ",
            "abcmnopxyz",
            " abc-mnop-xyz ",
            "https://meet.google.com/abc-mnop-xyz",
            "http://meet.google.com/abc-mnop-xyz?authuser=0#x",
            "meet.google.com/abc-mnop-xyz/",
            "<https://meet.google.com/abcmnopxyz>",
            "abc\u{2013}mnop\u{2013}xyz",
        ] {
            assert_eq!(choice(text).as_deref(), Ok("abc-mnop-xyz"), "{text}");
        }
        assert_eq!(choice("conferenceRecords/c-1").as_deref(), Ok("conferenceRecords/c-1"));
        for bad in
            ["", "board", "spaces/x", "https://example.com/abc-mnop-xyz", "conferenceRecords/", "meet.google.com/"]
        {
            assert!(choice(bad).is_err(), "{bad}");
        }
    }
}
