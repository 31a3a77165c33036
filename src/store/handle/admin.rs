//! Changing the outbox for an operator or the configuration, page by page.

use jiff::Timestamp;

use super::Store;
use crate::model::EndpointName;
use crate::store::admin::{AdminRequest, Replay, ResumeFrom};
use crate::store::endpoint::EndpointConfig;
use crate::store::error::WriteError;
use crate::store::outbox::{DeliveryId, DeliveryState};
use crate::store::query::DeliveryFilter;

impl Store {
    /// Stores the configuration of the endpoints, before anything is committed. Endpoints that it does not name are
    /// orphaned: their deliveries are kept and not sent.
    ///
    /// # Errors
    /// [`WriteError::Store`].
    pub async fn configure(&self, endpoints: Vec<EndpointConfig>, now: Timestamp) -> Result<(), WriteError> {
        self.write(AdminRequest::Configure(endpoints), now).await.map(drop)
    }

    /// Sends deliveries again. Returns how many.
    ///
    /// # Errors
    /// [`WriteError::Store`]; some may have been replayed then.
    pub async fn replay(&self, which: Replay, now: Timestamp) -> Result<u64, WriteError> {
        let filter = match which {
            Replay::One(delivery) => return self.write(AdminRequest::Replay(vec![delivery]), now).await,
            Replay::Dead(endpoint) => {
                DeliveryFilter { states: vec![DeliveryState::Dead], ..DeliveryFilter::all_of(endpoint) }
            }
            Replay::Range { endpoint, from, until } => DeliveryFilter {
                states: vec![DeliveryState::Done, DeliveryState::Dead, DeliveryState::Expired],
                from: Some(from),
                until: Some(until),
                ..DeliveryFilter::all_of(endpoint)
            },
        };
        self.change_all(filter, AdminRequest::Replay, now).await
    }

    /// Switches an endpoint on. Returns how many deliveries of its backlog were skipped.
    ///
    /// # Errors
    /// [`WriteError::Store`].
    pub async fn enable(&self, endpoint: EndpointName, from: ResumeFrom, now: Timestamp) -> Result<u64, WriteError> {
        let mut skipped = 0;
        if from == ResumeFrom::Now {
            // While the backlog is skipped, nothing of it may be claimed.
            self.disable(endpoint.clone(), now).await?;
            let (states, until) = (vec![DeliveryState::Pending], Some(now));
            let backlog = DeliveryFilter { states, until, ..DeliveryFilter::all_of(endpoint.clone()) };
            skipped = self.change_all(backlog, AdminRequest::Skip, now).await?;
        }
        self.write(AdminRequest::Enable(endpoint), now).await?;
        Ok(skipped)
    }

    /// Switches an endpoint off: nothing more is claimed, and its deliveries stay pending.
    ///
    /// # Errors
    /// [`WriteError::Store`].
    pub async fn disable(&self, endpoint: EndpointName, now: Timestamp) -> Result<(), WriteError> {
        self.write(AdminRequest::Disable(endpoint), now).await.map(drop)
    }

    /// Deletes an orphaned endpoint with all its deliveries. Returns how many these were. Does nothing to an endpoint
    /// that is configured.
    ///
    /// # Errors
    /// [`WriteError::Store`]; some may have been deleted then.
    pub async fn remove_orphan(&self, endpoint: EndpointName, now: Timestamp) -> Result<u64, WriteError> {
        let all = DeliveryFilter::all_of(endpoint.clone());
        let deleted = self.change_all(all, AdminRequest::Delete, now).await?;
        self.write(AdminRequest::Remove(endpoint), now).await?;
        Ok(deleted)
    }

    /// Changes the deliveries that a filter selects, one page in a transaction.
    async fn change_all(
        &self,
        mut filter: DeliveryFilter,
        change: fn(Vec<DeliveryId>) -> AdminRequest,
        now: Timestamp,
    ) -> Result<u64, WriteError> {
        let mut changed = 0;
        loop {
            let page = self.list_deliveries(filter.clone()).await?;
            let deliveries = page.deliveries.iter().map(|row| row.delivery).collect();
            changed += self.write(change(deliveries), now).await?;
            match page.next {
                Some(next) => filter.before = Some(next),
                None => return Ok(changed),
            }
        }
    }
}
