//! The command line.

pub mod event_line;
pub mod listen;
