//! A pool of reading connections: a few, opened when they are needed, each lent for one query.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::endpoint::EndpointSummary;
use super::error::StoreError;
use super::sqlite::StoreReader;
use super::writer::WriterStatus;

/// How many queries run at once.
const READERS: usize = 4;

/// The pool. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Readers {
    path: Arc<PathBuf>,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<StoreReader>>>,
    /// Learns of damage that a query meets.
    status: WriterStatus,
}

impl Readers {
    pub(super) fn new(path: PathBuf, status: WriterStatus) -> Self {
        Self { path: Arc::new(path), permits: Arc::new(Semaphore::new(READERS)), idle: Arc::default(), status }
    }

    /// Runs `query` on a thread that may block. Everything it reads is of one instant.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&StoreReader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let readers = self.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let answer = readers.query(query);
            drop(permit);
            answer
        });
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Reads the state of every endpoint on the calling thread, outside the limit of concurrent queries: a scrape cannot
    /// wait.
    pub(super) fn outbox_summary_now(&self) -> Result<Vec<EndpointSummary>, StoreError> {
        if self.permits.is_closed() {
            return Err(StoreError::Closed);
        }
        self.query(StoreReader::outbox_summary)
    }

    fn query<T>(&self, query: impl FnOnce(&StoreReader) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let idle = self.idle().pop();
        let reader = idle.map_or_else(|| StoreReader::open(&self.path), Ok)?;
        let answer = reader.in_snapshot(query);
        if let Err(error) = &answer {
            self.status.note_error(error);
        }
        // A connection that failed may be stale, for example after the file was replaced: the next query opens a new
        // one. After the pool was closed nothing would close a connection that is returned.
        if answer.is_ok() && !self.permits.is_closed() {
            self.idle().push(reader);
        }
        answer
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<StoreReader>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses further queries and closes the idle connections.
    pub(super) fn close(&self) {
        self.permits.close();
        self.idle().clear();
    }
}
