//! The types of events.

use serde::{Deserialize, Serialize};

crate::string_enum! {
    /// What happened. Declared in the order in which events of one instant are emitted.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    pub enum EventType {
        #[serde(rename = "watch.gap")]
        WatchGap = "watch.gap",
        #[serde(rename = "conference.started")]
        ConferenceStarted = "conference.started",
        #[serde(rename = "session.started")]
        SessionStarted = "session.started",
        #[serde(rename = "participant.joined")]
        ParticipantJoined = "participant.joined",
        #[serde(rename = "participant.left")]
        ParticipantLeft = "participant.left",
        #[serde(rename = "session.ended")]
        SessionEnded = "session.ended",
        #[serde(rename = "event.retracted")]
        EventRetracted = "event.retracted",
        #[serde(rename = "conference.ended")]
        ConferenceEnded = "conference.ended",
        #[serde(rename = "webhook.test")]
        WebhookTest = "webhook.test",
    }
}
