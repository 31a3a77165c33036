//! Spoils single items of an answer: a name, a start or an end that nobody can read.

use super::reads::ReadResponse;
use crate::meet::wire;
use crate::sim::hash::{hash, share};

/// Spoils this share of the items of a list, selected by `seed`.
pub(super) fn spoil(response: &mut ReadResponse, part: f64, seed: u64) {
    let number = |n: usize| hash(seed, &[&n.to_be_bytes()]);
    let struck = |n: &usize| share(seed, &[b"spoiled", &n.to_be_bytes()]) < part;
    match response {
        ReadResponse::Conferences(page) => {
            for (n, record) in page.conference_records.iter_mut().enumerate().filter(|(n, _)| struck(n)) {
                spoil_record(record, number(n) % 3);
            }
        }
        ReadResponse::Participants(page) => {
            for (n, participant) in page.participants.iter_mut().enumerate().filter(|(n, _)| struck(n)) {
                spoil_participant(participant, number(n) % 3);
            }
        }
        ReadResponse::Sessions(page) => {
            for (n, session) in page.participant_sessions.iter_mut().enumerate().filter(|(n, _)| struck(n)) {
                spoil_session(session, number(n) % 4);
            }
        }
        _ => {}
    }
}

fn unreadable() -> Option<String> {
    Some("yesterday".to_owned())
}

fn spoil_record(record: &mut wire::ConferenceRecord, how: u64) {
    match how {
        0 => record.start_time = None,
        1 => record.name.clear(),
        _ => record.end_time = unreadable(),
    }
}

fn spoil_participant(participant: &mut wire::Participant, how: u64) {
    match how {
        0 => participant.name = "participants/nobody".to_owned(),
        1 => participant.earliest_start_time = None,
        _ => participant.latest_end_time = participant.latest_end_time.take().and_then(|_| unreadable()),
    }
}

fn spoil_session(session: &mut wire::ParticipantSession, how: u64) {
    match how {
        0 => session.start_time = None,
        1 => session.start_time = unreadable(),
        2 => session.name.clear(),
        _ => session.end_time = unreadable(),
    }
}
