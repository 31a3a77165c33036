//! The command line.

pub mod api;
pub mod login;
