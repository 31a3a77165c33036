//! Reads that fail: which identity reads then, what is emitted, and when a conference is given up.

use super::*;
use crate::meet::ReadError;

const HOUR: u32 = 3600;

impl Scene {
    /// Lets time pass. A read for which `fails` returns a reason fails with it, and every other read is answered.
    fn pass_failing(&mut self, seconds: u32, fails: impl Fn(&IdentityName, &Read) -> Option<Reason>) {
        for _ in 0..seconds {
            self.now = self.now.after(SECOND);
            self.step(SchedulerInput::Tick);
            while !self.reads.is_empty() {
                let (key, identity, read) = self.reads.remove(0);
                let result = match fails(&identity, &read) {
                    Some(reason) => Err(ReadError {
                        reason,
                        attempted: "read",
                        detail: String::new(),
                        remedy: "",
                        retry_after: None,
                        used_up: None,
                        requests: 0,
                    }),
                    None => Ok(Reading::whole(answer(&read), Some(self.google()), 1)),
                };
                self.step(SchedulerInput::Answered(key, result));
            }
        }
    }

    fn all_fails(&mut self, seconds: u32, reason: Reason) {
        self.pass_failing(seconds, |_, _| Some(reason));
    }

    /// Returns the gaps that were emitted: whether of a conference, and why.
    fn gaps(&self) -> Vec<(bool, String)> {
        let events = self.commits.iter().flat_map(|commit| &commit.events);
        let bodies = events.map(|event| serde_json::from_str::<crate::model::Event>(&event.body).unwrap());
        bodies.filter_map(|event| Some((event.conference.is_some(), event.gap?.reason))).collect()
    }
}

fn finds_conferences(read: &Read) -> bool {
    matches!(read, Read::Conferences(_) | Read::Space(_) | Read::SpaceByCode(_))
}

#[test]
fn the_reason_of_a_gap_is_what_came_first() {
    let mut scene = Scene::watching(&[organizer("all", "one")]);
    scene.all_fails(60, Reason::Network);
    scene.all_fails(60, Reason::Server);
    scene.pass(200);
    assert_eq!(scene.gaps(), [(true, "network".to_owned())], "and the target has none of its own beside it");
}

#[test]
fn a_conference_is_not_given_up_for_what_ails_an_identity() {
    for reason in [Reason::ScopeMissing, Reason::Credentials, Reason::Delegation, Reason::ApiDisabled] {
        let mut scene = Scene::watching(&[organizer("all", "one")]);
        scene.all_fails(30 * HOUR, reason);
        scene.pass(200);
        assert!(!scene.emitted().contains(&"conference.ended"), "{reason}");
        assert!(scene.scheduler.conferences()[&conference()].is_live(), "{reason}");
    }
}

#[test]
fn a_conference_that_google_refuses_for_a_day_is_given_up_as_inferred() {
    let mut scene = Scene::watching(&[organizer("all", "one")]);
    scene.all_fails(23 * HOUR, Reason::NotFound);
    assert!(!scene.emitted().contains(&"conference.ended"));
    scene.all_fails(2 * HOUR, Reason::NotFound);
    let events: Vec<_> = scene.commits.iter().flat_map(|commit| &commit.events).collect();
    let last = events.last().unwrap();
    assert_eq!((last.event.as_str(), last.provenance.as_str()), ("conference.ended", "inferred"));
}

#[test]
fn one_refusal_after_a_long_outage_gives_nothing_up() {
    let mut scene = Scene::watching(&[organizer("all", "one")]);
    scene.all_fails(30 * HOUR, Reason::Network);
    scene.all_fails(60, Reason::NoAccess);
    scene.pass(200);
    assert!(!scene.emitted().contains(&"conference.ended"));
}

#[test]
fn another_identity_that_can_see_the_conference_takes_over() {
    let mut scene = Scene::watching(&[organizer("all", "one"), target("board", "two", code("abc-mnop-xyz"))]);
    let reader = |scene: &Scene| scene.scheduler.conferences()[&conference()].identity().cloned().unwrap();
    let first = reader(&scene);
    scene.pass_failing(300, |identity, _| (*identity == first).then_some(Reason::NoAccess));
    assert_ne!(reader(&scene), first);
    assert_eq!(
        scene.gaps().iter().filter(|(of_conference, _)| *of_conference).count(),
        0,
        "it was in sight all the time"
    );
    assert!(!scene.emitted().contains(&"participant.left"));
}

#[test]
fn a_target_tells_that_it_could_not_be_looked_at_though_its_conference_is_in_sight() {
    let mut scene = Scene::watching(&[organizer("all", "one")]);
    scene.pass_failing(300, |_, read| finds_conferences(read).then_some(Reason::Server));
    scene.pass(100);
    assert_eq!(scene.gaps(), [(false, "server".to_owned())]);
}

#[test]
fn the_gap_of_a_target_survives_a_commit_that_fails() {
    let mut scene = Scene::watching(&[organizer("all", "one")]);
    scene.pass_failing(300, |_, read| finds_conferences(read).then_some(Reason::Server));
    scene.failing_commits = 1;
    scene.pass(100);
    assert_eq!(scene.failing_commits, 0);
    assert_eq!(scene.gaps(), [(false, "server".to_owned())]);
}

#[test]
fn a_conference_that_is_closed_in_the_store_is_read_no_more() {
    let mut scene = Scene::watching(&[organizer("all", "one")]);
    scene.step(SchedulerInput::Contradicted(of_conference(), None));
    assert!(scene.scheduler.conferences().is_empty());
    scene.pass(100);
    assert!(scene.scheduler.conferences().is_empty(), "though Google still shows it");
}

#[test]
fn a_machine_that_slept_tells_that_nobody_looked() {
    let mut scene = Scene::watching(&[organizer("all", "one")]);
    scene.pass(60);
    scene.now = scene.now.after(HOUR * SECOND);
    scene.pass(200);
    assert_eq!(scene.gaps(), [(true, "late".to_owned())], "nothing failed");
}

#[test]
fn no_gap_is_measured_by_a_clock_that_is_ten_years_off() {
    let ten_years = Duration::from_secs(10 * 365 * 86_400);
    // Our clock is ten years behind and is set right in the outage; is right and is set back; is wrong all the time.
    for (ahead_before, ahead_after) in
        [(ten_years, Duration::ZERO), (Duration::ZERO, ten_years), (ten_years, ten_years)]
    {
        let mut scene = Scene::watching_from(&[organizer("all", "one")], ahead_before);
        assert_eq!(scene.board.read().clock_offset_seconds.unwrap().unsigned_abs(), ahead_before.as_secs());
        let began = scene.google();
        scene.all_fails(200, Reason::Network);
        let google = scene.google();
        scene.now.wall = google.checked_sub(ahead_after).unwrap();
        scene.google_ahead = ahead_after;
        scene.pass(300);
        assert_eq!(scene.scheduler.clock_skew.is_in_doubt(), ahead_after == ten_years);
        let events = scene.commits.iter().flat_map(|commit| &commit.events);
        let bodies = events.map(|event| serde_json::from_str::<crate::model::Event>(&event.body).unwrap());
        let gaps: Vec<_> = bodies.filter_map(|event| event.gap).collect();
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        let length = gaps[0].to.duration_since(gaps[0].from).as_secs();
        assert!((190..360).contains(&length), "{gaps:?}");
        assert!(gaps[0].from.duration_since(began).abs().as_secs() < 30, "{gaps:?}");
    }
}
