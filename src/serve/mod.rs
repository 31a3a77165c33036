//! HTTP: health, metrics, API.

pub mod settings;

pub use settings::ServerSettings;
