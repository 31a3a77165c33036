use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_600_000 + seconds).unwrap()
}

fn history(step: i64, seed: u64, until: i64) -> Vec<SessionTruth> {
    let mut world = World::new(WorldSettings { speed: 20.0, ..WorldSettings::starting(at(0), seed) });
    let mut now = 0;
    while now < until {
        now = (now + step).min(until);
        world.step(at(now));
    }
    assert_eq!(world.refused(), 0, "the director planned an impossible action");
    world.sessions().collect()
}

#[test]
fn the_same_seed_makes_the_same_history_however_it_is_stepped() {
    for seed in 0..20 {
        let coarse = history(600, seed, 600);
        assert_eq!(coarse, history(1, seed, 600));
        assert_eq!(coarse, history(37, seed, 600));
    }
    assert_ne!(history(600, 1, 600), history(600, 2, 600));
}

#[test]
fn a_seeded_world_has_every_pattern_of_attendance() {
    let mut world = World::new(WorldSettings { speed: 10.0, ..WorldSettings::starting(at(0), 3) });
    world.step(at(1200));
    let kinds: BTreeSet<_> = world.participants().map(|person| person.kind).collect();
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    let held: Vec<usize> = world.spaces().map(|(_, space)| space.conferences.len()).collect();
    assert!(held.iter().all(|held| *held > 1), "meetings start again in the same space: {held:?}");

    let people = || world.conferences.iter().flat_map(SimConference::participants);
    let devices = |p: &SimParticipant| p.sessions.windows(2).any(|w| w[0].end.is_none_or(|end| end > w[1].start));
    assert!(people().any(devices), "several devices at once");
    let gap = |p: &SimParticipant, range: std::ops::Range<f64>| {
        p.sessions
            .windows(2)
            .any(|w| w[0].end.is_some_and(|end| range.contains(&w[1].start.duration_since(end).as_secs_f64())))
    };
    assert!(people().any(|p| gap(p, 0.0..9.0)), "back before the next poll");
    assert!(people().any(|p| gap(p, 0.0..1000.0)), "rejoins");
    let length = |s: &SessionTruth| s.end.map_or(1e9, |end| end.duration_since(s.start).as_secs_f64());
    assert!(world.sessions().any(|s| length(&s) < 2.0), "flash visits");
    let digits: BTreeSet<usize> = world
        .sessions()
        .map(|s| s.start.to_string().split_once('.').map_or(0, |(_, fraction)| fraction.len().div_ceil(3)))
        .collect();
    assert!(digits.contains(&3) && digits.contains(&2) && digits.contains(&1), "{digits:?}");
}

#[test]
fn sessions_lie_within_their_conferences_and_have_unique_names() {
    for seed in 0..10 {
        let mut world = World::new(WorldSettings { speed: 30.0, ..WorldSettings::starting(at(0), seed) });
        world.step(at(400));
        let conferences: HashMap<_, _> = world.conferences().map(|c| (c.conference.clone(), c)).collect();
        let mut names = BTreeSet::new();
        for session in world.sessions() {
            let conference = &conferences[&session.conference];
            assert!(session.start >= conference.start && session.start <= at(400));
            assert!(session.end.is_none_or(|end| end >= session.start && end <= at(400)));
            assert!(conference.end.is_none_or(|end| session.end.is_some_and(|left| left <= end)));
            assert_eq!(session.session.participant(), session.participant);
            assert!(names.insert(session.session), "a session's name occurred twice");
        }
    }
}

#[test]
fn a_webinar_is_as_large_as_asked() {
    let settings = WorldSettings {
        webinar: Some(600),
        speed: 100.0,
        conferences: 1,
        guests_return_as_new: false,
        ..WorldSettings::starting(at(0), 1)
    };
    let mut world = World::new(settings);
    world.step(at(30));
    let first = world.conferences().next().unwrap().conference;
    assert_eq!(world.participants().filter(|person| person.conference == first).count(), 600);
}

#[test]
fn a_world_that_is_wound_down_ends_everything_in_time() {
    for within in [0, 5] {
        let mut world = World::new(WorldSettings { speed: 5.0, ..WorldSettings::starting(at(0), 9) });
        world.step(at(60));
        assert!(world.sessions().any(|session| session.end.is_none()));
        world.wind_down(at(60), Duration::from_secs(within));
        world.step(at(1000));
        let within = i64::try_from(within).unwrap();
        assert!(world.sessions().all(|session| session.end.is_some_and(|end| end <= at(60 + within))));
        assert!(world.conferences().all(|c| c.end.is_some_and(|end| end <= at(60 + within))));
        assert_eq!(world.next_action(), None);
        assert_eq!(world.refused(), 0);
    }
}

fn hand_made() -> (World, SpaceKey, PersonKey) {
    let mut world = World::empty(1, at(0));
    let ada = world.add_person(SimPerson::signed_in("Ada", "ada@example.com"));
    let space = world.add_space(Some(ada)).unwrap();
    (world, space, ada)
}

#[test]
fn two_devices_are_one_participant_that_leaves_with_the_last() {
    let (mut world, space, ada) = hand_made();
    world.join(space, ada, "laptop", at(1)).unwrap();
    world.join(space, ada, "phone", at(2)).unwrap();
    assert_eq!(world.join(space, ada, "phone", at(3)), Err(ActionError::AlreadyIn));
    world.leave(space, ada, "laptop", at(9)).unwrap();
    let person = world.participants().next().unwrap();
    assert_eq!((person.earliest_start, person.latest_end), (at(1), None));
    world.leave(space, ada, "phone", at(5)).unwrap();
    assert_eq!(
        world.participants().next().unwrap().latest_end,
        Some(at(9)),
        "the latest end, not the last leave performed"
    );
    world.join(space, ada, "laptop", at(20)).unwrap();
    let people: Vec<_> = world.participants().collect();
    assert_eq!((people.len(), people[0].latest_end, world.sessions().count()), (1, None, 3));
}

#[test]
fn a_returning_guest_is_the_same_or_a_new_participant_as_set() {
    for (new, expected) in [(false, 1), (true, 2)] {
        let (mut world, space, _) = hand_made();
        world.set_guests_return_as_new(new);
        let guest = world.add_person(SimPerson::anonymous("guest"));
        world.join(space, guest, "tab", at(1)).unwrap();
        world.leave(space, guest, "tab", at(2)).unwrap();
        world.join(space, guest, "tab", at(3)).unwrap();
        assert_eq!(world.participants().count(), expected);
    }
}

#[test]
fn a_conference_ends_and_the_next_starts_in_the_same_space() {
    let (mut world, space, ada) = hand_made();
    world.join(space, ada, "laptop", at(1)).unwrap();
    assert_eq!(world.start(space, at(2)), Err(ActionError::AlreadyLive));
    world.end(space, at(10)).unwrap();
    assert_eq!(world.sessions().next().unwrap().end, Some(at(10)));
    assert_eq!(world.leave(space, ada, "laptop", at(11)), Err(ActionError::NothingLive));
    assert_eq!(world.join(space, ada, "laptop", at(9)), Err(ActionError::Overlaps));
    world.join(space, ada, "laptop", at(10)).unwrap();
    assert_eq!(world.conferences().count(), 2);
    world.abandon(space, at(30)).unwrap();
    assert_eq!(world.sessions().last().unwrap().end, None);
}

#[test]
fn an_earlier_session_moves_its_participant_in_the_order() {
    let (mut world, space, ada) = hand_made();
    let bob = world.add_person(SimPerson::signed_in("Bob", "bob@example.com"));
    world.start(space, at(0)).unwrap();
    world.join(space, ada, "laptop", at(5)).unwrap();
    world.join(space, bob, "laptop", at(7)).unwrap();
    world.join(space, bob, "phone", at(3)).unwrap();
    let order: Vec<String> = world.participants().map(|person| person.display_name).collect();
    assert_eq!(order, ["Bob", "Ada"]);
}

#[test]
fn scheduled_actions_happen_at_their_time() {
    let (mut world, space, ada) = hand_made();
    world.schedule(at(50), space, Action::LeaveWholly(ada));
    world.schedule(at(10), space, Action::Join(ada, "laptop".into()));
    world.schedule(at(60), space, Action::LeaveWholly(ada));
    world.step(at(100));
    let session = world.sessions().next().unwrap();
    assert_eq!((session.start, session.end), (at(10), Some(at(50))));
    assert_eq!(world.refused(), 1, "leaving twice is impossible");
}
