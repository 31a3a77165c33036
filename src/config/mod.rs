//! The configuration: one TOML file, read whole, judged whole, and handed on as the settings that each room owns.
//!
//! [`load`] reads the file, [`parse`] judges its text. A `Section` is asked for each key by name;
//! what is wrong goes into the `Report` and reading goes on, so that an operator sees every
//! [`Problem`] at once, with its line. What nobody asked for is an unknown key. This is also the only room that reads
//! the environment.

mod address;
mod credentials;
mod environment;
mod example;
mod files;
mod general;
mod google;
mod identity;
mod key_file;
mod names;
mod problem;
mod report;
mod secret;
mod section;
mod server;
mod subjects;
mod target;
mod webhook;
mod webhook_access;
mod webhook_format;
mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

pub use environment::{Environment, listen_where_told};
pub use example::EXAMPLE;
pub use problem::{Problem, Problems};

use self::files::Files;
use self::names::Names;
use self::report::Report;
use self::section::Section;
use crate::delivery::EndpointSettings;
use crate::log::LogSettings;
use crate::meet::settings::{GoogleSettings, IdentitySettings};
use crate::model::{IdentityName, TargetName};
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
    pub source: Option<Source>,
}

/// Where a configuration was read, and can be read again.
#[derive(Debug, Clone)]
pub struct Source {
    pub path: PathBuf,
    pub environment: Environment,
}

impl Config {
    /// Warnings about files that are not there, though they may still come.
    pub fn missing_files(&self) -> impl Iterator<Item = &Problem> {
        self.warnings.iter().filter(|warning| warning.absence)
    }
}

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
    config.source = Some(Source { path: path.to_owned(), environment: environment.clone() });
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
    let report = Report::new(&file, &text);
    let (table, syntax) = DeTable::parse_recoverable(&text);
    let files = Files { environment, beside: path.parent().unwrap_or(Path::new("")) };
    let store = Section::read_root(table.get_ref(), &report, |root| {
        root.pass_over(&BESIDE_THE_STORE);
        root.table("store", |section| general::store(section, &files))
    });
    report.syntax(&syntax);
    report.finish()?;
    Ok(store)
}

/// The sections that say nothing of the store.
const BESIDE_THE_STORE: [&str; 8] = ["google", "identity", "log", "metrics", "server", "target", "watch", "webhook"];

fn text_of(path: &Path, file: &str) -> Result<String, Problems> {
    files::read(path).map_err(|error| {
        let message = format!("this file {}", files::told(&error));
        Problems::one(Problem { file: file.into(), line: None, key: String::new(), message, absence: false })
    })
}

/// Judges the text of a configuration. Reads the files that it names.
///
/// # Errors
/// All [`Problems`] at once.
pub fn parse(text: &str, origin: &Origin<'_>) -> Result<Config, Problems> {
    let report = Report::new(origin.file, text);
    let mut config = judge(text, origin, &report);
    config.warnings = report.finish()?;
    Ok(config)
}

/// What the text says, as far as it can be understood; the rest is in the report.
fn judge(text: &str, origin: &Origin<'_>, report: &Report) -> Config {
    let (table, syntax) = DeTable::parse_recoverable(text);
    let files = Files { environment: origin.environment, beside: origin.folder };
    let config = Section::read_root(table.get_ref(), report, |root| whole(root, &files, report));
    if origin.world_readable {
        report.file_is_open();
    }
    report.syntax(&syntax);
    config
}

fn whole(root: &Section<'_>, files: &Files<'_>, report: &Report) -> Config {
    let max_conferences = root.table("metrics", server::max_conferences);
    let Watched { identities, targets, names, groups } = watched(root, files, report);
    let webhook_names = Names::new("webhook");
    let known_targets = webhook::Targets { names: &names, groups: &groups };
    let webhooks = root.tables("webhook", |section| webhook::read(section, files, &webhook_names, &known_targets));
    Config {
        google: root.table("google", |section| google::read(section, files)),
        identities,
        targets,
        webhooks: webhooks.into_iter().flatten().collect(),
        watch: root.table("watch", general::watch),
        store: root.table("store", |section| general::store(section, files)),
        server: root.table("server", |section| server::read(section, files, max_conferences)),
        log: root.table("log", general::log),
        warnings: Vec::new(),
        source: None,
    }
}

/// Who watches what.
struct Watched {
    identities: Vec<IdentitySettings>,
    targets: Vec<TargetSettings>,
    /// Of all targets, those with problems and the groups included.
    names: Names,
    /// The targets of each identity that has subjects.
    groups: BTreeMap<String, Vec<TargetName>>,
}

fn watched(root: &Section<'_>, files: &Files<'_>, report: &Report) -> Watched {
    let (identity_names, names) = (Names::new("identity"), Names::new("target"));
    let sections = root.tables("identity", |section| identity::read(section, files, &identity_names));
    let one = sections.len() == 1;
    if sections.is_empty() {
        report.absent(None, "identity", "there is none; add an [[identity]] with the credentials to read Google with");
    }
    let mut watched = Watched { identities: Vec::new(), targets: Vec::new(), names, groups: BTreeMap::new() };
    for expanded in sections {
        if let Some(group) = expanded.group {
            let members: Vec<TargetName> = expanded.targets.iter().map(|target| target.name.clone()).collect();
            members.iter().for_each(|member| watched.names.add(member.as_str(), None));
            watched.names.add(&group, None);
            watched.groups.insert(group, members);
        }
        watched.identities.extend(expanded.identities);
        watched.targets.extend(expanded.targets);
    }
    let only: Option<IdentityName> = match watched.identities.as_slice() {
        [only] if one && watched.groups.is_empty() => Some(only.name.clone()),
        _ => None,
    };
    let identities = target::Identities { names: &identity_names, groups: &watched.groups, one, only };
    let targets = root.tables("target", |section| target::read(section, &watched.names, &identities));
    if targets.is_empty() && watched.targets.is_empty() {
        report.warning(None, "target", "there is none, so nothing is watched; add a [[target]]");
    }
    watched.targets.extend(targets.into_iter().flatten());
    watched
}
