//! The configuration: one TOML file, which is read and validated as a whole into the settings of each module.
//!
//! [`load`] reads the file, [`parse`] validates its text. A `Section` is asked for each key by name. Problems are collected
//! in `Diagnostics` while reading goes on, so that an operator sees every [`Problem`] at once, with its line. A key that no
//! code asked for is unknown. Only this module reads the environment.

mod address;
mod client;
mod configuration;
mod credentials;
mod diagnostics;
mod environment;
mod example;
mod files;
mod general;
mod google;
mod identity;
mod inherited_socket;
mod key_file;
mod load;
mod names;
mod problem;
mod secret;
mod section;
mod sections;
mod server;
mod subjects;
mod suggest;
mod target;
mod webhook;
mod webhook_access;
mod webhook_format;

pub use client::{ClientSettings, TokenPlace};
pub use configuration::{Config, ConfigFile, FileLine};
pub use environment::Environment;
pub use example::EXAMPLE;
pub use inherited_socket::listen_on_inherited_socket;
pub use load::{Origin, load, load_client, load_store, parse};
pub use problem::{Problem, Problems};
