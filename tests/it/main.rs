//! What the program promises, over real sockets and real files: one file for each behaviour.

mod architecture;
mod config_check;
mod config_files;
mod config_problems;
mod serve_access;
mod serve_limits;
mod serve_metrics;
