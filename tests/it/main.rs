//! What the program promises, over real sockets and real files: one file for each behaviour.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what does not hold in a test is to end it, in its helpers too"
)]

mod architecture;
mod config_check;
mod config_files;
mod config_problems;
mod serve_access;
mod serve_limits;
mod serve_metrics;
mod sim_command;
mod sim_google_client;
mod sim_outside_clients;
mod sim_receiver;
mod sim_server;
mod sim_sign_in;
mod store_commit;
mod store_open;
mod store_outbox;
mod store_repair;
mod store_samples;
mod webhook_attempt;
mod webhook_bad_receivers;
mod webhook_delivery;
mod webhook_history;
mod webhook_receiver;
mod webhook_settle;
mod webhook_trouble;
