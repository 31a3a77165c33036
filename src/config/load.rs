//! Reads a configuration file, whole or only its `[store]`.

use std::path::Path;

use toml::de::DeTable;

use super::client::{self, ClientSettings};
use super::configuration::{Config, ConfigFile};
use super::diagnostics::Diagnostics;
use super::environment::Environment;
use super::files::{self, ReferencedFiles};
use super::problem::{Problem, Problems};
use super::section::Section;
use super::{general, sections};
use crate::store::StoreSettings;

/// The origin of a configuration's text.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The file's name in problems.
    pub file: &'a str,
    /// The folder that relative paths are relative to.
    pub folder: &'a Path,
    pub environment: &'a Environment,
    /// Whether every user of the machine can read the file.
    pub world_readable: bool,
}

/// Reads and validates a configuration file.
///
/// # Errors
/// All [`Problems`] at once: of the file, of its text, and of the files that it names.
pub fn load(path: &Path, environment: &Environment) -> Result<Config, Problems> {
    let file = path.display().to_string();
    let text = text_of(path, &file)?;
    let world_readable = std::fs::metadata(path).is_ok_and(|metadata| files::is_world_readable(&metadata));
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut config = parse(&text, &Origin { file: &file, folder, environment, world_readable })?;
    config.source = Some(ConfigFile { path: path.to_owned(), environment: environment.clone() });
    Ok(config)
}

/// Reads only `[store]` of a configuration file. Works also without the daemon's credentials files, and if other sections
/// have problems.
///
/// # Errors
/// The [`Problems`] of the file, of its syntax and of `[store]`, and unknown sections: one of them may be a mistyped
/// `[store]`.
pub fn load_store(path: &Path, environment: &Environment) -> Result<StoreSettings, Problems> {
    let file = path.display().to_string();
    let text = text_of(path, &file)?;
    let diagnostics = Diagnostics::new(&file, &text);
    let (table, syntax) = DeTable::parse_recoverable(&text);
    let files = ReferencedFiles { environment, folder: path.parent().unwrap_or(Path::new("")) };
    let store = Section::read_root(table.get_ref(), &diagnostics, |root| {
        root.ignore(&OTHER_SECTIONS);
        root.table("store", |section| general::store(section, &files))
    });
    diagnostics.syntax(&syntax);
    diagnostics.finish()?;
    Ok(store)
}

/// Reads what a client of the daemon needs: see [`ClientSettings`]. Opens no other file.
///
/// # Errors
/// The [`Problems`] of the file, and of the keys that are needed.
pub fn load_client(path: &Path, environment: &Environment) -> Result<ClientSettings, Problems> {
    let file = path.display().to_string();
    let text = files::read(path).map_err(|error| {
        let message = match error.kind() {
            std::io::ErrorKind::NotFound => {
                "this configuration file does not exist; name the daemon's with --config, or give its address with --url \
                 and a token with --token-file"
                    .to_owned()
            }
            std::io::ErrorKind::PermissionDenied => {
                "this user may not read the configuration file; run the command as root, or give the daemon's address \
                 with --url and a token with --token-file"
                    .to_owned()
            }
            _ => format!("the configuration file {}", files::explain_io_error(&error)),
        };
        Problems::one(Problem { file: file.as_str().into(), line: None, key: String::new(), message, because_missing: false })
    })?;
    client::parse(&text, &file, path.parent().unwrap_or(Path::new("")), environment)
}

/// The sections other than `[store]`.
pub(super) const OTHER_SECTIONS: [&str; 8] =
    ["google", "identity", "log", "metrics", "server", "target", "watch", "webhook"];

fn text_of(path: &Path, file: &str) -> Result<String, Problems> {
    files::read(path).map_err(|error| {
        let message = format!("the configuration file {}", files::explain_io_error(&error));
        Problems::one(Problem { file: file.into(), line: None, key: String::new(), message, because_missing: false })
    })
}

/// Validates the text of a configuration. Reads the files that it names.
///
/// # Errors
/// All [`Problems`] at once.
pub fn parse(text: &str, origin: &Origin<'_>) -> Result<Config, Problems> {
    let diagnostics = Diagnostics::new(origin.file, text);
    let mut config = read_text(text, origin, &diagnostics);
    config.warnings = diagnostics.finish()?;
    Ok(config)
}

/// Reads the text as far as possible. What is wrong with it is in the diagnostics.
pub(super) fn read_text(text: &str, origin: &Origin<'_>, diagnostics: &Diagnostics) -> Config {
    let (table, syntax) = DeTable::parse_recoverable(text);
    let files = ReferencedFiles { environment: origin.environment, folder: origin.folder };
    let config = Section::read_root(table.get_ref(), diagnostics, |root| sections::read(root, &files, diagnostics));
    if origin.world_readable {
        diagnostics.note_world_readable();
    }
    diagnostics.syntax(&syntax);
    config
}
