//! Changes of identities: what was read by another identity is discarded, and what only has another name continues.

use super::*;

#[test]
fn a_conference_stays_with_the_target_that_still_covers_it_and_with_its_identity() {
    let mut scene = Scene::watching(&[organizer("all", "one"), target("board", "two", code("abc-mnop-xyz"))]);
    assert_eq!(scene.reached_by(), ["all", "board"]);
    scene.until_asked(&of_conference());
    assert_eq!(scene.asking(&of_conference())[0].0, "one");
    let only_two =
        Setup { identities: vec![identity("two")], ..setup(&[target("board", "two", code("abc-mnop-xyz"))]) };
    scene.step(revision(only_two));
    assert_eq!(scene.reached_by(), ["board"]);
    let (key, _, read) = scene.reads.iter().find(|(key, ..)| *key == of_conference()).cloned().unwrap();
    scene.reads.clear();
    // An empty listing by an identity that is gone from the configuration.
    assert!(matches!(read, Read::Participants(..)), "{read:?}");
    let empty = Reading::whole(Answer::Participants(Vec::new()), None, 1);
    scene.step(SchedulerInput::Answered(key, Ok(empty)));
    assert_eq!(scene.asking(&of_conference()), [("two", &read)], "the same is read once more, by the other");
    scene.pass(600);
    assert_eq!(scene.emitted().len(), 3, "{:?}", scene.emitted());
}

#[test]
fn an_identity_that_may_stand_for_another_user_reads_again() {
    let mut scene = Scene::watching(&[organizer("all", "one")]);
    scene.until_asked(&of_conference());
    let (key, _, read) = scene.reads.iter().find(|(key, ..)| *key == of_conference()).cloned().unwrap();
    let replaced = BTreeSet::from([IdentityName::parse("one").unwrap()]);
    let changed = Revision {
        setup: setup(&[organizer("all", "one")]),
        remembered: Vec::new(),
        replaced,
        renamed: BTreeMap::new(),
    };
    scene.step(SchedulerInput::Reconfigured(Box::new(changed)));
    scene.reads.clear();
    let empty = Reading::whole(Answer::Participants(Vec::new()), None, 1);
    scene.step(SchedulerInput::Answered(key, Ok(empty)));
    assert_eq!(scene.asking(&of_conference()), [("one", &read)]);
}

#[test]
fn an_organizer_s_target_of_another_identity_starts_over_under_its_name() {
    let mut scene = Scene::watching(&[organizer("all", "one")]);
    scene.pass(3);
    let before = scene.commits.len();
    scene.step(revision(setup(&[organizer("all", "two")])));
    assert_eq!(scene.asking(&of_target("all")).len(), 1, "asked at once");
    scene.pass(5);
    let row = scene.commits[before..].iter().flat_map(|commit| &commit.targets).next().unwrap();
    assert!(row.watched_since > scene.now.wall - Duration::from_secs(10));
    assert_eq!(scene.reached_by(), ["all"]);
}

#[test]
fn an_identity_under_another_name_is_the_same_one_and_its_answers_are_used() {
    let mut scene = Scene::watching(&[organizer("all", "one")]);
    let first = scene.commits.iter().flat_map(|commit| &commit.targets).next().unwrap().clone();
    scene.until_asked(&of_conference());
    let (one, three) = (IdentityName::parse("one").unwrap(), IdentityName::parse("three").unwrap());
    let renamed = BTreeMap::from([(one, three)]);
    let changed = Setup { identities: vec![identity("three")], ..setup(&[organizer("all", "three")]) };
    let revision = Revision { setup: changed, remembered: Vec::new(), replaced: BTreeSet::new(), renamed };
    scene.step(SchedulerInput::Reconfigured(Box::new(revision)));
    let asked = scene.asking(&of_conference()).len();
    scene.pass(60);
    assert_eq!((asked, scene.emitted().len()), (1, 3));
    let row = scene.commits.iter().flat_map(|commit| &commit.targets).last().unwrap();
    assert_eq!(row.watched_since, first.watched_since);
    scene.until_asked(&of_conference());
    assert_eq!(scene.asking(&of_conference())[0].0, "three");
}
