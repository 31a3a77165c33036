//! The queries. Each runs on a connection of its own and reads one consistent state.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::Store;
use crate::model::ConferenceName;
use crate::store::endpoint::{AttemptCount, EndpointSummary};
use crate::store::error::StoreError;
use crate::store::outbox::DeliveryId;
use crate::store::query::{ConferenceQuery, DeliveryDetail, DeliveryFilter, DeliveryPage, EventFilter, LogPage};
use crate::store::rows::{LogRow, StoredConference, TargetRow};
use crate::store::sqlite::StoreReader;

impl Store {
    /// Returns every conference that is not closed, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn load_unfinished(&self) -> Result<Vec<StoredConference>, StoreError> {
        self.readers.read(StoreReader::load_unfinished).await
    }

    /// Returns a conference; `None` if it is not stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn conference(&self, name: ConferenceName) -> Result<Option<StoredConference>, StoreError> {
        self.readers.read(move |reader| reader.conference(&name)).await
    }

    /// Returns a conference; `None` if it is closed or not stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unfinished_conference(&self, name: ConferenceName) -> Result<Option<StoredConference>, StoreError> {
        self.readers.read(move |reader| reader.unfinished_conference(&name)).await
    }

    /// Returns the conferences that a query selects, by their start.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn conferences(&self, query: ConferenceQuery) -> Result<Vec<StoredConference>, StoreError> {
        self.readers.read(move |reader| reader.conferences(&query)).await
    }

    /// Returns the names of all conferences that are closed, or were deleted after they were closed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn finished(&self) -> Result<BTreeSet<ConferenceName>, StoreError> {
        self.readers.read(StoreReader::finished).await
    }

    /// Returns every target, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn targets(&self) -> Result<Vec<TargetRow>, StoreError> {
        self.readers.read(StoreReader::targets).await
    }

    /// Returns the log after a position (0: from its beginning), at most `limit` events.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn log_after(&self, position: u64, limit: usize) -> Result<Vec<LogRow>, StoreError> {
        self.readers.read(move |reader| reader.log_after(position, limit)).await
    }

    /// Returns the page of the log that a filter selects. It may hold fewer than the limit, even none, although more follow
    /// after [`LogPage::next`]; not so with [`EventFilter::newest`], whose events are looked for in several queries.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn log(&self, mut filter: EventFilter) -> Result<LogPage, StoreError> {
        let first = filter.clone();
        let mut page = self.readers.read(move |reader| reader.log(&first)).await?;
        while let Some(before) = page.before
            && page.rows.len() < filter.limit
        {
            // Other queries have their turn in between.
            filter.before = Some(before);
            let older = EventFilter { limit: filter.limit - page.rows.len(), ..filter.clone() };
            let LogPage { mut rows, before, .. } = self.readers.read(move |reader| reader.log(&older)).await?;
            rows.append(&mut page.rows);
            (page.rows, page.before) = (rows, before);
        }
        Ok(page)
    }

    /// Returns the state of every endpoint that ever had a delivery or a configuration. Cheap at any backlog.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn outbox_summary(&self) -> Result<Vec<EndpointSummary>, StoreError> {
        self.readers.read(StoreReader::outbox_summary).await
    }

    /// Returns one page of the deliveries that a filter selects, the newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_deliveries(&self, filter: DeliveryFilter) -> Result<DeliveryPage, StoreError> {
        self.readers.read(move |reader| reader.list_deliveries(&filter)).await
    }

    /// Returns one delivery with its attempts; `None` if there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delivery(&self, delivery: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError> {
        self.readers.read(move |reader| reader.delivery(delivery)).await
    }

    /// Returns the outcomes of every endpoint's attempts since the hour of `since`. Three days are kept.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn attempts_since(&self, since: Timestamp) -> Result<Vec<AttemptCount>, StoreError> {
        self.readers.read(move |reader| reader.attempts_since(since)).await
    }
}
