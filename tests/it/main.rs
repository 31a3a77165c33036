//! The parts together, over real sockets on the loopback: a file per behaviour.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod sim_command;
mod sim_google_client;
mod sim_outside_clients;
mod sim_receiver;
mod sim_server;
mod sim_sign_in;
