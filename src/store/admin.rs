//! Changing the outbox for an operator or the configuration.

use jiff::Timestamp;

use super::endpoint::EndpointConfig;
use super::outbox::DeliveryId;
use crate::model::EndpointName;

/// Which deliveries to send again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replay {
    /// This one, if it is finished.
    One(DeliveryId),
    /// All dead deliveries of this endpoint.
    Dead(EndpointName),
    /// All deliveries of this endpoint whose event was committed in a half-open interval, and that arrived, are dead or
    /// expired. Settled ones are left out: they undid themselves.
    Range { endpoint: EndpointName, from: Timestamp, until: Timestamp },
}

/// What an endpoint that is switched on does with its backlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResumeFrom {
    /// The backlog is sent.
    Backlog,
    /// The backlog is skipped: its deliveries expire and are kept.
    Now,
}

/// One change of the outbox, small enough for one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminRequest {
    /// Stores the configuration of these endpoints; all others are orphaned from then on.
    Configure(Vec<EndpointConfig>),
    /// Makes the finished ones of these deliveries pending again.
    Replay(Vec<DeliveryId>),
    /// Switches an endpoint on.
    Enable(EndpointName),
    /// Switches an endpoint off. Its deliveries stay pending.
    Disable(EndpointName),
    /// Expires the pending ones of these deliveries that are not being sent.
    Skip(Vec<DeliveryId>),
    /// Deletes those of these deliveries whose endpoint is orphaned.
    Delete(Vec<DeliveryId>),
    /// Deletes an orphaned endpoint that has no deliveries left.
    Remove(EndpointName),
}
