//! How an event is known, and where its time comes from.

use serde::{Deserialize, Serialize};

crate::string_enum! {
    /// How an event is known.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Provenance {
        /// Google's time, learnt shortly after it happened, while the conference was being listed.
        Observed = "observed",
        /// Google's time, learnt afterwards.
        Backfilled = "backfilled",
        /// A time that this program concluded, because Google gave none.
        Inferred = "inferred",
    }
}

crate::string_enum! {
    /// Where a time comes from.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum Source {
        /// Google reported it.
        Google = "google",
        /// This program concluded it, because Google reported nothing.
        Inferred = "inferred",
    }
}
