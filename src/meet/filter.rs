//! The filters of Google's lists, as typed values. `Display` writes the text of the parameter `filter`, which Google always
//! accepts: fields in `snake_case`, as in the REST reference, and times in quotes, as RFC 3339.

use std::fmt;

use jiff::Timestamp;

use crate::model::{MeetingCode, SpaceName};

/// Which conference records to list: those for which all conditions hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConferenceFilter {
    /// `end_time IS NULL`: conferences that are live.
    pub live: bool,
    /// `end_time >= "…"`: conferences that ended at or after this time.
    pub ended_since: Option<Timestamp>,
    /// `end_time < "…"`: conferences that ended before this time.
    pub ended_before: Option<Timestamp>,
    /// `start_time >= "…"`: conferences that started at or after this time.
    pub started_since: Option<Timestamp>,
    pub space: Option<SpaceName>,
    pub meeting_code: Option<MeetingCode>,
}

/// Which participants to list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ParticipantFilter {
    #[default]
    All,
    /// `latest_end_time IS NULL`: participants in the call now.
    Active,
    /// `latest_end_time >= "…"`: participants who last left at or after this time.
    LeftSince(Timestamp),
    /// `earliest_start_time >= "…"`: participants who first joined at or after this time.
    JoinedSince(Timestamp),
}

/// Which sessions of a participant to list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SessionFilter {
    #[default]
    All,
    /// `end_time IS NULL`: devices that are in the call now.
    Open,
}

impl fmt::Display for ConferenceFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut conditions = Vec::new();
        if self.live {
            conditions.push("end_time IS NULL".to_owned());
        }
        if let Some(time) = self.ended_since {
            conditions.push(format!("end_time >= \"{time}\""));
        }
        if let Some(time) = self.ended_before {
            conditions.push(format!("end_time < \"{time}\""));
        }
        if let Some(time) = self.started_since {
            conditions.push(format!("start_time >= \"{time}\""));
        }
        if let Some(space) = &self.space {
            conditions.push(format!("space.name = \"{space}\""));
        }
        if let Some(code) = &self.meeting_code {
            conditions.push(format!("space.meeting_code = \"{code}\""));
        }
        f.write_str(&conditions.join(" AND "))
    }
}

impl fmt::Display for ParticipantFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => Ok(()),
            Self::Active => f.write_str("latest_end_time IS NULL"),
            Self::LeftSince(time) => write!(f, "latest_end_time >= \"{time}\""),
            Self::JoinedSince(time) => write!(f, "earliest_start_time >= \"{time}\""),
        }
    }
}

impl fmt::Display for SessionFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => Ok(()),
            Self::Open => f.write_str("end_time IS NULL"),
        }
    }
}
