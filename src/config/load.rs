//! Reads a configuration file, whole or only its `[store]`.

use std::path::Path;

use toml::de::DeTable;

use super::configuration::{Config, ConfigFile};
use super::diagnostics::Diagnostics;
use super::environment::Environment;
use super::files::{self, ReferencedFiles};
use super::problem::{Problem, Problems};
use super::section::Section;
use super::{general, sections};
use crate::store::StoreSettings;

/// Where a configuration's text comes from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// How problems name the file.
    pub file: &'a str,
    /// What relative paths in it are relative to.
    pub folder: &'a Path,
    pub environment: &'a Environment,
    /// Whether every user of the machine can read the file.
    pub world_readable: bool,
}

/// Reads and judges a configuration file.
///
/// # Errors
/// All [`Problems`] at once: of the file itself, of its text, and of the files it names.
pub fn load(path: &Path, environment: &Environment) -> Result<Config, Problems> {
    let file = path.display().to_string();
    let text = text_of(path, &file)?;
    let world_readable = std::fs::metadata(path).is_ok_and(|metadata| files::is_world_readable(&metadata));
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut config = parse(&text, &Origin { file: &file, folder, environment, world_readable })?;
    config.source = Some(ConfigFile { path: path.to_owned(), environment: environment.clone() });
    Ok(config)
}

/// Reads of a configuration file only what it says of the store. So that is known also where the daemon's credentials are not
/// handed over, and where something else in it is wrong.
///
/// # Errors
/// The [`Problems`] of the file itself, of its TOML, of `[store]`, and sections that there are not: one of them may be a
/// `[store]` with a slip of the pen in it.
pub fn load_store(path: &Path, environment: &Environment) -> Result<StoreSettings, Problems> {
    let file = path.display().to_string();
    let text = text_of(path, &file)?;
    let diagnostics = Diagnostics::new(&file, &text);
    let (table, syntax) = DeTable::parse_recoverable(&text);
    let files = ReferencedFiles { environment, folder: path.parent().unwrap_or(Path::new("")) };
    let store = Section::read_root(table.get_ref(), &diagnostics, |root| {
        root.pass_over(&OTHER_SECTIONS);
        root.table("store", |section| general::store(section, &files))
    });
    diagnostics.syntax(&syntax);
    diagnostics.finish()?;
    Ok(store)
}

/// The sections that say nothing of the store.
pub(super) const OTHER_SECTIONS: [&str; 8] = ["google", "identity", "log", "metrics", "server", "target", "watch", "webhook"];

fn text_of(path: &Path, file: &str) -> Result<String, Problems> {
    files::read(path).map_err(|error| {
        let message = format!("this file {}", files::explain(&error));
        Problems::one(Problem { file: file.into(), line: None, key: String::new(), message, by_absence: false })
    })
}

/// Judges the text of a configuration. Reads the files that it names.
///
/// # Errors
/// All [`Problems`] at once.
pub fn parse(text: &str, origin: &Origin<'_>) -> Result<Config, Problems> {
    let diagnostics = Diagnostics::new(origin.file, text);
    let mut config = judge(text, origin, &diagnostics);
    config.warnings = diagnostics.finish()?;
    Ok(config)
}

/// What the text says, as far as it can be understood; the rest is in the diagnostics.
pub(super) fn judge(text: &str, origin: &Origin<'_>, diagnostics: &Diagnostics) -> Config {
    let (table, syntax) = DeTable::parse_recoverable(text);
    let files = ReferencedFiles { environment: origin.environment, folder: origin.folder };
    let config = Section::read_root(table.get_ref(), diagnostics, |root| sections::read(root, &files, diagnostics));
    if origin.world_readable {
        diagnostics.file_is_open();
    }
    diagnostics.syntax(&syntax);
    config
}
