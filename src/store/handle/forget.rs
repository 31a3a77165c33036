//! Forgetting a person, in steps between which the writer takes other operations.

use jiff::Timestamp;

use super::Store;
use crate::store::error::{StoreError, WriteError};
use crate::store::forget::{ForgetRequest, Subject, Traces};

/// How many participants one step erases.
const STEP: usize = 20;

impl Store {
    /// Returns how much is stored of a person; `None` if it is unclear who is meant.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn traces(&self, subject: Subject) -> Result<Option<Traces>, StoreError> {
        let find = self.readers.read(move |reader| {
            let names = reader.subject_names(&subject)?;
            if names.is_empty() {
                return Ok(None);
            }
            let (_, traces) = reader.participants_named(&names)?;
            Ok(Some(traces))
        });
        find.await
    }

    /// Forgets a person for good. Returns how much was stored; `None` if it is unclear who is meant. After a failure or
    /// a crash, call it again to finish.
    ///
    /// # Errors
    /// [`WriteError::Store`]; some of it may be done.
    pub async fn forget(&self, subject: Subject, now: Timestamp) -> Result<Option<Traces>, WriteError> {
        let names = self.readers.read(move |reader| reader.subject_names(&subject)).await?;
        if names.is_empty() {
            return Ok(None);
        }
        self.write(ForgetRequest::Remember(names.clone()), now).await?;
        // Read after that step: from then on no commit can add data of the person.
        let (found, traces) = self.readers.read(move |reader| reader.participants_named(&names)).await?;
        for some in found.chunks(STEP) {
            self.write(ForgetRequest::Erase(some.to_vec()), now).await?;
        }
        Ok(Some(traces))
    }
}
