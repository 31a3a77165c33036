//! A forgotten person is removed from what is stored, and kept out of later commits.

use meetwatch::model::{ParticipantKind, UserName};
use meetwatch::store::{Commit, ConferenceRow, ForgetRequest, ParticipantRow, Phase, Subject};

use super::{Backend, contract_tests};
use crate::store_samples::*;

contract_tests!(
    a_forgotten_person_is_erased_and_a_later_commit_does_not_bring_the_name_back,
    an_account_is_found_by_its_address_and_by_any_of_its_participants,
    googles_name_of_a_forgotten_participant_is_kept_until_the_conference_is_closed,
);

const EMAIL: &str = "ada@example.com";

fn user() -> UserName {
    UserName::parse("users/112233").unwrap()
}

fn ada(conference: &str) -> ParticipantRow {
    ParticipantRow {
        kind: ParticipantKind::SignedIn,
        user: Some(user()),
        email: Some(EMAIL.into()),
        ..participant_row(conference, "112233")
    }
}

/// A conference with Ada and an anonymous guest.
fn meeting(conference: &str) -> Commit {
    Commit {
        conference: Some(conference_row(conference, 0)),
        participants: vec![ada(conference), participant_row(conference, "guest")],
        ..Commit::default()
    }
}

fn forget(db: &mut impl Backend, subject: &Subject) {
    let names = db.subject_names(subject).unwrap();
    db.write(ForgetRequest::Remember(names.clone()), at(1)).unwrap();
    let (participants, _) = db.participants_named(&names).unwrap();
    db.write(ForgetRequest::Erase(participants), at(1)).unwrap();
}

/// The user, name and address of each participant, by Google's name of the participant.
fn data(db: &impl Backend, conference: &str) -> Vec<(String, bool, bool, bool)> {
    let stored = db.conference(&crate::store_samples::conference(conference)).unwrap().unwrap();
    let data = stored
        .participants
        .into_iter()
        .map(|row| (row.name.as_str().to_owned(), row.user.is_some(), row.display_name.is_some(), row.email.is_some()));
    data.collect()
}

fn a_forgotten_person_is_erased_and_a_later_commit_does_not_bring_the_name_back<B: Backend>() {
    let mut db = B::create();
    db.write(meeting("c"), noon()).unwrap();
    let kept = |id: &str| {
        let name = |person| participant(id, person).as_str().to_owned();
        vec![(name("112233"), false, false, false), (name("guest"), false, true, false)]
    };
    forget(&mut db, &Subject::User(user()));
    assert_eq!(data(&db, "c"), kept("c"));
    db.write(meeting("c"), at(2)).unwrap();
    assert_eq!(data(&db, "c"), kept("c"), "the same participant again");
    db.write(meeting("d"), at(3)).unwrap();
    assert_eq!(data(&db, "d"), kept("d"), "the same account elsewhere");
}

fn an_account_is_found_by_its_address_and_by_any_of_its_participants<B: Backend>() {
    let mut db = B::create();
    db.write(meeting("c"), noon()).unwrap();
    db.write(meeting("d"), noon()).unwrap();
    let account = vec![user().as_str().to_owned()];
    for subject in
        [Subject::User(user()), Subject::Email(EMAIL.to_uppercase()), Subject::Participant(participant("d", "112233"))]
    {
        assert_eq!(db.subject_names(&subject).unwrap(), account, "{subject:?}");
    }
    let (found, traces) = db.participants_named(&account).unwrap();
    assert_eq!((found.len(), traces.conferences, traces.unfinished, traces.events), (2, 2, 2, 0));
    assert!(db.subject_names(&Subject::Email("bo@example.com".to_owned())).unwrap().is_empty());
    let guest = db.subject_names(&Subject::Participant(participant("c", "guest"))).unwrap();
    assert_eq!(guest, [participant("c", "guest").as_str()]);
    assert_eq!(db.participants_named(&guest).unwrap().0.len(), 1);
}

fn googles_name_of_a_forgotten_participant_is_kept_until_the_conference_is_closed<B: Backend>() {
    let mut db = B::create();
    db.write(meeting("c"), noon()).unwrap();
    forget(&mut db, &Subject::User(user()));
    let conference = Some(ConferenceRow { phase: Phase::Closed, ..conference_row("c", 0) });
    db.write(Commit { conference, ..Commit::default() }, at(2)).unwrap();
    let names: Vec<_> = data(&db, "c").into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names.len(), 2);
    assert!(names.contains(&participant("c", "guest").as_str().to_owned()));
    assert!(!names.iter().any(|name| name.contains("112233")), "{names:?}");
}
