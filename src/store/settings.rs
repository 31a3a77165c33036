//! The settings of the store, validated by `config`.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `[store]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreSettings {
    /// The SQLite file. Its folder must exist.
    pub path: PathBuf,
    /// How long finished conferences and deliveries are kept.
    pub retention: Duration,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { path: PathBuf::from("/var/lib/meetwatch/meetwatch.db"), retention: Duration::from_secs(30 * 86_400) }
    }
}

/// How many symbolic links are followed, as on Linux.
const MAX_LINKS: usize = 40;

/// Returns the path that the symbolic links at the end of a path lead to, whether or not there is a file. What lies
/// beside the store, such as its write-ahead log, its lock and its secrets, lies beside that.
#[must_use]
pub fn without_links(path: &Path) -> Cow<'_, Path> {
    let mut found = Cow::Borrowed(path);
    for _ in 0..MAX_LINKS {
        let Ok(target) = found.read_link() else { return found };
        let folder = found.parent().unwrap_or(Path::new(""));
        found = Cow::Owned(folder.join(target));
    }
    // Links that lead in a circle: opening fails and says so.
    Cow::Borrowed(path)
}
