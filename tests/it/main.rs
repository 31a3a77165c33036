//! Every behaviour that needs sockets or files, in one program, a file each.
#![expect(clippy::panic, clippy::unwrap_used, reason = "what does not hold in a test is to end it, in its helpers too")]

mod meet_auth;
mod meet_by_hand;
mod meet_errors;
mod meet_fake;
mod meet_lists;
mod meet_login;
mod meet_people;
mod meet_retry;
mod meet_secrecy;
