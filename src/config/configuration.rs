//! The configuration as a whole, and the file that it was read from.

use std::path::PathBuf;

use super::environment::Environment;
use super::problem::Problem;
use crate::delivery::EndpointSettings;
use crate::log::LogSettings;
use crate::meet::settings::{GoogleSettings, IdentitySettings};
use crate::serve::ServerSettings;
use crate::store::StoreSettings;
use crate::watch::{TargetSettings, WatchSettings};

/// Everything an operator set, valid as a whole.
#[derive(Debug, Clone)]
pub struct Config {
    pub google: GoogleSettings,
    /// At least one. An `[[identity]]` with subjects is one for each of them.
    pub identities: Vec<IdentitySettings>,
    /// Each names one of `identities`.
    pub targets: Vec<TargetSettings>,
    pub webhooks: Vec<EndpointSettings>,
    pub watch: WatchSettings,
    pub store: StoreSettings,
    pub server: ServerSettings,
    pub log: LogSettings,
    /// What is allowed and dangerous, or will not work yet.
    pub warnings: Vec<Problem>,
    /// Where it was read; `None` for a text that lies in no file.
    pub source: Option<ConfigFile>,
}

/// Where a configuration was read, and can be read again.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    pub path: PathBuf,
    pub environment: Environment,
}

impl Config {
    /// Warnings about files that are not there, though they may still come.
    pub fn missing_files(&self) -> impl Iterator<Item = &Problem> {
        self.warnings.iter().filter(|warning| warning.by_absence)
    }
}
