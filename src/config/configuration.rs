//! The configuration as a whole, and the file that it was read from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::environment::Environment;
use super::problem::Problem;
use crate::delivery::EndpointSettings;
use crate::log::LogSettings;
use crate::meet::settings::{GoogleSettings, IdentitySettings};
use crate::model::IdentityName;
use crate::serve::ServerSettings;
use crate::store::StoreSettings;
use crate::watch::{TargetSettings, WatchSettings};

/// All settings, valid as a whole.
#[derive(Debug, Clone)]
pub struct Config {
    pub google: GoogleSettings,
    /// At least one. An `[[identity]]` with subjects becomes one identity for each subject.
    pub identities: Vec<IdentitySettings>,
    /// Each target's identity is one of `identities`.
    pub targets: Vec<TargetSettings>,
    pub webhooks: Vec<EndpointSettings>,
    pub watch: WatchSettings,
    pub store: StoreSettings,
    pub server: ServerSettings,
    pub log: LogSettings,
    /// Where the subject of each identity that stands for one of several is given.
    pub subject_places: BTreeMap<IdentityName, FileLine>,
    /// What is allowed but dangerous, or cannot work yet.
    pub warnings: Vec<Problem>,
    /// The file it was read from. `None` if it was parsed from a text.
    pub source: Option<ConfigFile>,
}

/// A line of a file, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLine {
    pub file: Arc<str>,
    pub line: usize,
}

impl fmt::Display for FileLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// The file that a configuration was read from, and from which a reload reads it again.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    pub path: PathBuf,
    pub environment: Environment,
}

impl Config {
    /// The warnings about files that do not exist yet.
    pub fn missing_files(&self) -> impl Iterator<Item = &Problem> {
        self.warnings.iter().filter(|warning| warning.because_missing)
    }
}
