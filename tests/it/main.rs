//! What the program promises, over real sockets and real files: one file for each behaviour.

mod architecture;
mod config_check;
mod config_files;
mod config_problems;
mod serve_access;
mod serve_limits;
mod serve_metrics;
mod store_commit;
mod store_open;
mod store_outbox;
mod store_samples;
mod webhook_attempt;
mod webhook_delivery;
mod webhook_history;
mod webhook_receiver;
