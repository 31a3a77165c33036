//! Which endpoint gets which event: a pure function, evaluated once, when the event is committed.

use super::event::Event;
use super::event_type::EventType;
use super::names::{EndpointName, TargetName};
use super::provenance::Provenance;
use super::resources::ParticipantKind;

/// One endpoint's filters. An empty list matches everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub endpoint: EndpointName,
    pub events: Vec<EventPattern>,
    /// Applied only to events that have a participant.
    pub kinds: Vec<ParticipantKind>,
    pub targets: Vec<TargetName>,
    pub provenance: Vec<Provenance>,
}

impl Route {
    /// Returns whether the filters match `event`.
    ///
    /// A correction or retraction is also delivered to every endpoint that got the event it names, whatever the filters
    /// say; the store adds those.
    #[must_use]
    pub fn wants(&self, event: &Event) -> bool {
        let any = |empty: bool, found: bool| empty || found;
        any(self.events.is_empty(), self.events.iter().any(|pattern| pattern.matches(event.event)))
            && any(self.targets.is_empty(), event.targets.iter().any(|target| self.targets.contains(target)))
            && any(self.provenance.is_empty(), self.provenance.contains(&event.provenance))
            && event
                .participant
                .as_ref()
                .is_none_or(|person| any(self.kinds.is_empty(), self.kinds.contains(&person.kind)))
    }
}

/// A filter on event types: one type, a family of them such as `participant.*`, or all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventPattern {
    All,
    /// What stands before the dot.
    Family(String),
    One(EventType),
}

impl EventPattern {
    /// Parses `*`, `participant.*` or `participant.joined`. Returns `None` for what matches no event type.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        let Some(family) = text.strip_suffix(".*") else {
            return EventType::parse(text).map(Self::One);
        };
        let known = EventType::ALL.iter().any(|event| family_of(*event) == family);
        known.then(|| Self::Family(family.to_owned()))
    }

    /// Returns whether the pattern matches this type.
    #[must_use]
    pub fn matches(&self, event: EventType) -> bool {
        match self {
            Self::All => true,
            Self::Family(family) => family_of(event) == family,
            Self::One(one) => *one == event,
        }
    }
}

fn family_of(event: EventType) -> &'static str {
    event.as_str().split('.').next().unwrap_or_default()
}
