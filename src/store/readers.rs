//! Connections that only read: a few, made when they are needed, lent for one query each.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::error::StoreError;
use super::open::open_reader;

/// How many queries run at once.
const READERS: usize = 4;

/// The idle connections. Clones lend from the same ones.
#[derive(Debug, Clone)]
pub(super) struct Readers {
    path: Arc<PathBuf>,
    places: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path: Arc::new(path), places: Arc::new(Semaphore::new(READERS)), idle: Arc::default() }
    }

    /// Runs `query` on a thread where it may block. All it reads is of one instant.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| StoreError::Closed)?;
        let readers = self.clone();
        let answer = tokio::task::spawn_blocking(move || {
            let connection = readers.take()?;
            let answer = in_one_instant(&connection, query);
            // One that failed may be stale, such as after the file was replaced: the next query gets a new one.
            if answer.is_ok() {
                readers.give_back(connection);
            }
            drop(place);
            answer
        });
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Runs `query` here and now. For those who cannot wait, and whose query is short.
    pub(super) fn read_now<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.places.is_closed() {
            return Err(StoreError::Closed);
        }
        let connection = self.take()?;
        let answer = in_one_instant(&connection, query)?;
        self.give_back(connection);
        Ok(answer)
    }

    fn give_back(&self, connection: Connection) {
        // After the store was closed nobody would let it go any more.
        if !self.places.is_closed() {
            self.idle().push(connection);
        }
    }

    fn take(&self) -> Result<Connection, StoreError> {
        let idle = self.idle().pop();
        idle.map_or_else(|| Ok(open_reader(&self.path)?), Ok)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lends nothing any more and lets the idle connections go.
    pub(super) fn close(&self) {
        self.places.close();
        self.idle().clear();
    }
}

fn in_one_instant<T>(
    connection: &Connection,
    query: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let snapshot = connection.unchecked_transaction()?;
    let answer = query(&snapshot)?;
    snapshot.finish()?;
    Ok(answer)
}
