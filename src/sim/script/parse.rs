//! Parses TOML into a script and collects the mistakes.

use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::table::{Notes, Table, nearest};
use super::{Meeting, Mistake, Script, ScriptAction, TimedAction, faults};
use crate::model::{MeetingCode, ParticipantKind};
use crate::sim::world::{KnownFrom, SimPerson};

/// The names of people and meetings, in the order of the script's lists.
struct ScriptNames {
    people: Vec<String>,
    meetings: Vec<String>,
}

pub(super) fn parse(text: &str) -> (Script, Vec<Mistake>) {
    let mut notes = Notes::new(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        notes.note(error.span().map_or(0, |span| span.start), error.message().trim());
    }
    let mut root = Table::root(document.get_ref());
    let mut script = Script { people: Vec::new(), meetings: Vec::new(), actions: Vec::new(), faults: Vec::new() };
    let mut names = ScriptNames { people: Vec::new(), meetings: Vec::new() };
    for (name, value) in root.entries("people", &mut notes) {
        // An invalid entry keeps its index, so that acts of this person are not reported as well.
        script.people.push(person(&name, value, &mut notes).unwrap_or_else(|| SimPerson::anonymous(&name)));
        names.people.push(name);
    }
    for (name, value) in root.entries("meetings", &mut notes) {
        script.meetings.push(meeting(value, &names, &mut notes));
        names.meetings.push(name);
    }
    for (_, value) in root.entries("act", &mut notes) {
        script.actions.extend(act(value, &names, &mut notes));
    }
    script.actions.sort_by_key(|timed| timed.after);
    for (_, value) in root.entries("fault", &mut notes) {
        script.faults.extend(faults::rule(value, &mut notes));
    }
    root.finish(&mut notes);
    (script, notes.into_mistakes())
}

fn person(name: &str, value: &Spanned<DeValue<'_>>, notes: &mut Notes<'_>) -> Option<SimPerson> {
    let mut table = Table::new(value, "a person", notes)?;
    let kind = match table.text("kind", notes) {
        None => ParticipantKind::SignedIn,
        Some((text, offset)) => ParticipantKind::parse(text).unwrap_or_else(|| {
            let kinds = ParticipantKind::ALL.map(ParticipantKind::as_str);
            notes.note(offset, format!("unknown kind '{text}'{}", nearest(text, &kinds)));
            ParticipantKind::Unknown
        }),
    };
    let directory = match table.text("known_from", notes) {
        None | Some(("domain", _)) => KnownFrom::DomainProfile,
        Some(("other_contact", _)) => KnownFrom::OtherContact,
        Some(("profile", _)) => KnownFrom::Profile,
        Some(("nowhere", _)) => KnownFrom::Nowhere,
        Some((text, offset)) => {
            let known = ["domain", "other_contact", "profile", "nowhere"];
            notes.note(offset, format!("unknown source '{text}'{}", nearest(text, &known)));
            KnownFrom::Nowhere
        }
    };
    let display_name = table.text("display_name", notes).map_or(name, |(text, _)| text).to_owned();
    let email = table.text("email", notes);
    let account = table.text("account", notes);
    for (value, key) in [(email, "email"), (account, "account")] {
        if let Some((_, offset)) = value.filter(|_| kind != ParticipantKind::SignedIn) {
            notes.note(offset, format!("'{key}' is allowed only for kind 'signed_in'"));
        }
    }
    if let Some((_, offset)) = account.filter(|(text, _)| text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()))
    {
        notes.note(offset, "'account' must be digits only");
    }
    table.finish(notes);
    Some(SimPerson {
        kind,
        display_name,
        email: email.map(|(text, _)| text.to_owned()),
        directory,
        account: account.map(|(text, _)| text.to_owned()).unwrap_or_default(),
    })
}

fn meeting(value: &Spanned<DeValue<'_>>, names: &ScriptNames, notes: &mut Notes<'_>) -> Meeting {
    let Some(mut table) = Table::new(value, "a meeting", notes) else {
        return Meeting { code: None, organizer: None };
    };
    let code = table.text("code", notes).and_then(|(text, offset)| {
        MeetingCode::parse(text).map_err(|error| notes.note(offset, error.to_string())).ok()
    });
    let organizer = table.text("organizer", notes).and_then(|name| find(name, &names.people, "person", notes));
    table.finish(notes);
    Meeting { code, organizer }
}

/// The keys of an act that name what is done.
const ACTIONS: [&str; 6] = ["start", "join", "leave", "rename", "end", "abandon"];

fn act(value: &Spanned<DeValue<'_>>, names: &ScriptNames, notes: &mut Notes<'_>) -> Option<TimedAction> {
    let mut table = Table::new(value, "an act", notes)?;
    let after = after(&mut table, notes);
    let done: Vec<&'static str> = ACTIONS.into_iter().filter(|action| table.has(action)).collect();
    let action = match done.as_slice() {
        [action] => Some(*action),
        _ => {
            notes.note(table.offset, format!("an act names exactly one of {}", ACTIONS.join(", ")));
            None
        }
    };
    let object = action.and_then(|action| table.text(action, notes));
    let of_person = matches!(action, Some("join" | "leave" | "rename"));
    let device = table.text("device", notes);
    let to = table.text("to", notes);
    let meeting = match (of_person, table.text("meeting", notes)) {
        (true, Some(name)) => find(name, &names.meetings, "meeting", notes),
        (true, None) if names.meetings.len() == 1 => Some(0),
        (true, None) => {
            notes.note(table.offset, "'meeting' is missing, and there is not exactly one");
            None
        }
        (false, _) => object.and_then(|name| find(name, &names.meetings, "meeting", notes)),
    };
    let person = object.filter(|_| of_person).and_then(|name| find(name, &names.people, "person", notes));
    let line = notes.line(table.offset);
    if let (Some("rename"), None) = (action, to) {
        notes.note(table.offset, "'to' is missing: the new name");
    }
    table.allow(&ACTIONS);
    table.finish(notes);
    let action = match (action?, person) {
        ("start", _) => ScriptAction::Start,
        ("end", _) => ScriptAction::End,
        ("abandon", _) => ScriptAction::Abandon,
        ("join", Some(person)) => ScriptAction::Join(person, device.map_or("laptop", |(text, _)| text).to_owned()),
        ("leave", Some(person)) => ScriptAction::Leave(person, device.map(|(text, _)| text.to_owned())),
        ("rename", Some(person)) => ScriptAction::Rename(person, to?.0.to_owned()),
        _ => return None,
    };
    Some(TimedAction { after: after?, meeting: meeting?, action, line })
}

fn after(table: &mut Table<'_, '_>, notes: &mut Notes<'_>) -> Option<Duration> {
    if !table.has("at") {
        notes.note(table.offset, "'at' is missing: when this happens, such as \"10s\"");
    }
    table.duration("at", notes)
}

fn find((name, offset): (&str, usize), names: &[String], what: &str, notes: &mut Notes<'_>) -> Option<usize> {
    let found = names.iter().position(|known| known == name);
    if found.is_none() {
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        notes.note(offset, format!("unknown {what} '{name}'{}", nearest(name, &known)));
    }
    found
}
