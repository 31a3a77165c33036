//! What survives: the roster, the event log, what is owed to whom, and how far everything was read. SQLite, one writer.

pub mod rows;
pub mod settings;

pub use rows::{
    Commit, ConferenceRow, NewEvent, ParticipantRow, Phase, SessionRow, StoredConference, TargetRow, ToldRow,
};
pub use settings::StoreSettings;
