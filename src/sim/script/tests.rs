use super::*;
use crate::sim::api::GoogleMethod;
use crate::sim::faults::{Fault, FaultContext, Lag};

fn mistakes(text: &str) -> Vec<String> {
    match Script::parse(text) {
        Ok(_) => Vec::new(),
        Err(Mistakes(all)) => all.into_iter().map(|mistake| format!("{}: {}", mistake.line, mistake.message)).collect(),
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_767_600_000 + seconds).unwrap()
}

#[test]
fn the_example_is_performed_as_written() {
    let script = Script::parse(EXAMPLE).unwrap();
    let mut world = script.world(1, at(0), 1.0);
    world.step(at(3600));
    assert_eq!((world.refused(), world.conferences().count()), (0, 2));
    let first = world.conferences().next().unwrap();
    assert_eq!((first.start, first.end, first.meeting_code.as_str()), (at(1), Some(at(50)), "abc-mnop-xyz"));
    let sessions: Vec<_> = world
        .sessions()
        .map(|s| (s.start.duration_since(at(0)).as_secs(), s.end.unwrap().duration_since(at(0)).as_secs()))
        .collect();
    assert_eq!(sessions, [(1, 15), (10, 50), (4, 25), (27, 50), (6, 50), (20, 22), (65, 80)]);
    let names: Vec<String> = world.participants().map(|person| person.display_name).collect();
    assert!(names.contains(&"Bo A.".to_owned()));

    let mut faults = script.faults(1, at(0), 1.0);
    let request = FaultContext { method: GoogleMethod::GetSpace, conference: None, page: 1, caller: None };
    let lag = Lag { rejoin: Duration::from_secs(10), leave: Duration::from_secs(2), ..Lag::NONE };
    assert_eq!(faults.decide(&request, at(40)), [Fault::Lag(lag)]);
}

#[test]
fn every_key_of_the_example_is_explained_and_every_fault_named_in_it() {
    for fault in ["throttled", "cut-off", "repeat-token", "omit", "spoiled", "api-disabled", "skew", "empty"] {
        let text = format!("{EXAMPLE}\n[[fault]]\nfault = \"{fault}\"\n");
        assert_eq!(mistakes(&text), Vec::<String>::new());
        assert!(EXAMPLE.contains(fault), "{fault}");
    }
}

#[test]
fn speed_shortens_all_times() {
    let script = Script::parse("[people.a]\n[meetings.m]\n[[act]]\nat = \"10s\"\njoin = \"a\"").unwrap();
    let mut world = script.world(1, at(0), 5.0);
    world.step(at(100));
    assert_eq!(world.sessions().next().unwrap().start, at(2));
}

#[test]
fn all_mistakes_are_reported_at_once_with_their_lines() {
    let text = "\
[people.ada]
kind = \"signedin\"
colour = \"red\"

[people.phone]
kind = \"phone\"
email = \"x@example.com\"

[meetings.standup]
code = \"ABC\"
organiser = \"ada\"

[[act]]
at = \"soon\"
join = \"adda\"

[[act]]
join = \"ada\"
leave = \"ada\"

[[act]]
at = \"3s\"
end = \"retro\"

[[fault]]
fault = \"sever\"
on = [\"participants.lists\"]
chance = 2

[[fault]]
fault = \"server\"
code = 404
nth = 0
";
    assert_eq!(
        mistakes(text),
        [
            "2: unknown kind 'signedin'; did you mean 'signed_in'?",
            "3: unknown key 'colour'; known: kind, known_from, display_name, email, account",
            "7: 'email' is allowed only for kind 'signed_in'",
            "10: not a valid meeting code (expected abc-mnop-xyz)",
            "11: unknown key 'organiser'; did you mean 'organizer'?",
            "14: 'at' has to be a duration such as \"10s\" or \"1m 30s\"",
            "15: unknown person 'adda'; did you mean 'ada'?",
            "17: 'at' is missing: when this happens, such as \"10s\"",
            "17: an act names exactly one of start, join, leave, rename, end, abandon",
            "23: unknown meeting 'retro'; known: standup",
            "26: unknown fault 'sever'; did you mean 'server'?",
            "27: unknown method 'participants.lists'; did you mean 'participants.list'?",
            "28: 'chance' has to be a number from 0 to 1",
            "32: 'code' has to be from 500 to 599",
            "33: 'nth' has to be at least 1",
        ]
    );
}

#[test]
fn the_meeting_may_be_left_out_only_where_there_is_exactly_one() {
    let text = "[people.a]\n[meetings.m]\n[meetings.n]\n[[act]]\nat = \"1s\"\njoin = \"a\"";
    assert_eq!(mistakes(text), ["4: 'meeting' is missing, and there is not exactly one"]);
    assert_eq!(mistakes(&text.replace("[meetings.n]\n", "")), Vec::<String>::new());
}

#[test]
fn an_impossible_act_is_a_mistake() {
    let text = "\
[people.a]
[meetings.m]
[[act]]
at = \"5s\"
leave = \"a\"
[[act]]
at = \"1s\"
join = \"a\"
[[act]]
at = \"2s\"
join = \"a\"
[[act]]
at = \"6s\"
leave = \"a\"
";
    assert_eq!(
        mistakes(text),
        [
            "9: impossible act: this device of this person is in the conference already",
            "12: impossible act: this device of this person is not in the conference",
        ]
    );
}

#[test]
fn invalid_toml_is_reported_with_its_line() {
    let all = mistakes("[people.a]\nkind = \n[meetings.m\n");
    assert!(all.iter().any(|mistake| mistake.starts_with("2: ")), "{all:?}");
    assert!(all.iter().any(|mistake| mistake.starts_with("3: ")), "{all:?}");
}
