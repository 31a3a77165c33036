//! The behaviours of the program, a file each, in one binary.
#![cfg(test)]

mod store_commit;
mod store_open;
mod store_outbox;
mod store_samples;
