//! The behaviours of the program, a file each, in one binary.
#![cfg(test)]

mod store_commit;
mod store_open;
mod store_outbox;
mod store_samples;
mod webhook_attempt;
mod webhook_delivery;
mod webhook_history;
mod webhook_receiver;
