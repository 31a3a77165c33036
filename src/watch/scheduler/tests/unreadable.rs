//! Answers that cannot be read, or only in part: the rest is told, and every closing ends.

use super::*;
use crate::meet::ReadError;

/// What a read gives instead of the usual answer.
enum Instead {
    /// These items, of a list that has more.
    Part(Answer),
    Other(Answer),
    Malformed,
    /// An empty body.
    Blank(Answer),
}

impl Scene {
    /// Lets time pass. Each read is answered by `instead`, or as usual.
    fn pass_with(&mut self, seconds: u32, instead: impl Fn(&Read) -> Option<Instead>) {
        for _ in 0..seconds {
            self.now = self.now.after(SECOND);
            self.step(SchedulerInput::Tick);
            while !self.reads.is_empty() {
                let (key, _, read) = self.reads.remove(0);
                let whole = |answer| Reading::whole(answer, Some(self.now.wall), 1);
                let result = match instead(&read) {
                    None => Ok(whole(answer(&read))),
                    Some(Instead::Other(answer)) => Ok(whole(answer)),
                    Some(Instead::Blank(answer)) => Ok(Reading { blank: true, ..whole(answer) }),
                    Some(Instead::Part(answer)) => {
                        let mut reading = whole(answer);
                        reading.unreadable.skipped(UnreadableField::StartTime);
                        Ok(reading)
                    }
                    Some(Instead::Malformed) => Err(ReadError {
                        reason: Reason::Malformed,
                        attempted: "read",
                        detail: String::new(),
                        remedy: "",
                        retry_after: None,
                        used_up: None,
                        requests: 0,
                    }),
                };
                self.step(SchedulerInput::Answered(key, result));
            }
        }
    }

    fn last_events(&self) -> Vec<(&'static str, &'static str)> {
        let events = self.commits.iter().flat_map(|commit| &commit.events).skip(3);
        events.map(|event| (event.event.as_str(), event.provenance.as_str())).collect()
    }
}

/// The record of the conference once it is over.
fn over(read: &Read) -> Option<Instead> {
    let end = Some(Timestamp::UNIX_EPOCH + 1050 * SECOND);
    match read {
        Read::Conference(_) => Some(Instead::Other(Answer::Conference(Conference { end, ..record() }))),
        Read::Conferences(_) => Some(Instead::Other(Answer::Conferences(Vec::new()))),
        _ => None,
    }
}

const ENDED: [(&str, &str); 3] =
    [("participant.left", "inferred"), ("session.ended", "inferred"), ("conference.ended", "observed")];

#[test]
fn a_closing_gives_up_on_a_session_that_stays_unreadable_and_ends_as_inferred() {
    let mut scene = Scene::watching(&[organizer("all", "one")]);
    let unreadable = |read: &Read| match read {
        Read::Sessions(..) => Some(Instead::Part(Answer::Sessions(Vec::new()))),
        other => over(other),
    };
    scene.pass_with(40, unreadable);
    assert_eq!(scene.last_events(), [], "it is read a few times first");
    scene.pass_with(110, unreadable);
    assert_eq!(scene.last_events(), ENDED);
    scene.pass_with(1000, unreadable);
    assert_eq!(scene.last_events(), ENDED, "the last reading ends, too");
    assert!(scene.scheduler.conferences().is_empty());
}

#[test]
fn a_closing_gives_up_on_a_list_that_stays_unreadable_in_part() {
    let mut scene = Scene::watching(&[organizer("all", "one")]);
    scene.pass_with(200, |read| match read {
        Read::Participants(..) => Some(Instead::Part(Answer::Participants(Vec::new()))),
        other => over(other),
    });
    assert_eq!(scene.last_events(), ENDED);
}

#[test]
fn a_closing_gives_up_on_answers_that_stay_malformed_while_the_record_is_readable() {
    for lists in [true, false] {
        let mut scene = Scene::watching(&[organizer("all", "one")]);
        let malformed = |read: &Read| match read {
            Read::Participants(..) if lists => Some(Instead::Malformed),
            Read::Sessions(..) if !lists => Some(Instead::Malformed),
            other => over(other),
        };
        scene.pass_with(30, malformed);
        assert_eq!(scene.last_events(), [], "lists: {lists}");
        scene.pass_with(500, malformed);
        assert_eq!(scene.last_events(), ENDED, "lists: {lists}");
    }
}

#[test]
fn a_closing_waits_for_as_long_as_nothing_at_all_can_be_read() {
    let mut scene = Scene::watching(&[organizer("all", "one")]);
    scene.pass_with(60, |read| match read {
        Read::Participants(..) => Some(Instead::Malformed),
        other => over(other),
    });
    scene.pass_with(24 * 3600, |_| Some(Instead::Malformed));
    assert_eq!(scene.last_events(), []);
    scene.pass_with(60, over);
    assert_eq!(scene.last_events().last(), Some(&("conference.ended", "backfilled")));
}

#[test]
fn nobody_has_left_because_a_listing_is_unreadable_or_has_an_empty_body() {
    for blank in [true, false] {
        let mut scene = Scene::watching(&[organizer("all", "one")]);
        let nobody = || Answer::Participants(Vec::new());
        scene.pass_with(3000, |read| match read {
            Read::Participants(..) if blank => Some(Instead::Blank(nobody())),
            Read::Participants(..) => Some(Instead::Part(nobody())),
            _ => None,
        });
        assert_eq!(scene.last_events(), [], "blank: {blank}");
    }
}

#[test]
fn an_empty_body_is_an_empty_list_where_nobody_was_and_the_record_is_readable() {
    let mut scene = Scene::new(setup(&[organizer("all", "one")]));
    let empty = |read: &Read| match read {
        Read::Participants(..) => Some(Instead::Blank(Answer::Participants(Vec::new()))),
        Read::Conferences(filter) if !filter.live => Some(Instead::Blank(Answer::Conferences(Vec::new()))),
        _ => None,
    };
    scene.pass_with(600, empty);
    assert_eq!(scene.emitted(), ["conference.started"], "the conference was observed, so there is no gap");
    let read = scene.board.read().conferences[&conference()].last_read.unwrap();
    assert!(scene.now.wall.duration_since(read).as_secs() < 90, "and is listed as one that stays empty");
    scene.pass(30);
    assert_eq!(scene.emitted(), ["conference.started", "session.started", "participant.joined"]);
}

#[test]
fn the_other_conferences_of_an_organizer_are_found_beside_one_that_is_unreadable() {
    let mut scene = Scene::new(setup(&[organizer("all", "one")]));
    let in_part = |read: &Read| match read {
        Read::Conferences(filter) if filter.live => Some(Instead::Part(answer(read))),
        Read::Conferences(_) => Some(Instead::Part(Answer::Conferences(Vec::new()))),
        _ => None,
    };
    scene.pass_with(60, in_part);
    assert_eq!(scene.emitted(), ["conference.started", "session.started", "participant.joined"]);
    let reads = |scene: &Scene| scene.scheduler.logged_unreadable.len();
    assert_eq!(reads(&scene), 1, "it is logged once for the target");
}

#[test]
fn the_cursor_of_a_target_moves_past_an_unreadable_record_only_when_it_stays_so() {
    let mut scene = Scene::new(setup(&[organizer("all", "one")]));
    let in_part = |read: &Read| match read {
        Read::Conferences(filter) if !filter.live => Some(Instead::Part(Answer::Conferences(Vec::new()))),
        _ => None,
    };
    let cursor = |scene: &Scene| {
        let rows = scene.commits.iter().flat_map(|commit| &commit.targets);
        rows.filter_map(|row| row.discovered_to).max()
    };
    scene.pass_with(240, in_part);
    assert_eq!(cursor(&scene), None);
    scene.pass_with(360, in_part);
    assert!(cursor(&scene).is_some());
}

#[test]
fn a_conference_that_came_while_the_store_refused_it_is_told_as_backfilled() {
    let mut scene = Scene::new(setup(&[organizer("all", "one")]));
    let begun = scene.now.wall;
    let recent = |read: &Read| match read {
        Read::Conference(_) | Read::Conferences(_) | Read::Sessions(..) => match answer(read) {
            Answer::Conference(record) => {
                Some(Instead::Other(Answer::Conference(Conference { start: begun, ..record })))
            }
            Answer::Conferences(records) => {
                let records = records.into_iter().map(|record| Conference { start: begun, ..record }).collect();
                Some(Instead::Other(Answer::Conferences(records)))
            }
            Answer::Sessions(sessions) => {
                let sessions = sessions.into_iter().map(|session| Session { start: begun, ..session }).collect();
                Some(Instead::Other(Answer::Sessions(sessions)))
            }
            _ => None,
        },
        _ => None,
    };
    scene.refuses_conferences = true;
    scene.pass_with(40, recent);
    assert_eq!(scene.emitted(), Vec::<&str>::new());
    scene.refuses_conferences = false;
    scene.pass_with(100, recent);
    let events = scene.commits.iter().flat_map(|commit| &commit.events);
    let told: Vec<_> = events.map(|event| (event.event.as_str(), event.provenance.as_str())).collect();
    assert_eq!(
        told,
        [("conference.started", "backfilled"), ("session.started", "backfilled"), ("participant.joined", "backfilled")]
    );
}
