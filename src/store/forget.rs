//! Forgetting one person: all SQL that finds somebody, and that honours it in whatever is written later.
//!
//! From the first step on everything that is written passes by here: `honour` takes a forgotten person's name, account
//! and address out of each commit, and out of the events that it freezes. What was written before is gone through then,
//! a few rows at a time, as `erase` has it. The log keeps its ids, numbers and times, so receivers notice nothing but the
//! missing name.
//!
//! While a conference is watched, Google has to be asked for its participants by the names that Google gave them. So
//! these stay in the rows of an unfinished conference, are in no event any more, and go in the transaction that closes it.

use std::borrow::Cow;

use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::erase::{erase, parsed, written};
use super::error::{CommitError, StoreError};
use super::facts::Numbers;
use super::handle::Store;
use super::rows::{Commit, NewEvent, Phase};
use super::stand_in::{Key, blank_event, blank_row};
use super::values::{nanos, parse_at};
use super::writer::Task;
use crate::model::{EventType, ParticipantName, UserName};

/// How many participants one step takes out of their conferences.
const STEP: usize = 20;

/// How many random bytes the key has.
const KEY_BYTES: usize = 32;

/// Who is to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    User(UserName),
    /// Everybody who was looked up and has this address.
    Email(String),
    /// The account behind it; where there is none, this participant alone.
    Participant(ParticipantName),
}

impl Subject {
    /// What an operator wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(user) = UserName::parse(text) {
            return Some(Self::User(user));
        }
        if let Ok(participant) = ParticipantName::parse(text) {
            return Some(Self::Participant(participant));
        }
        (text.contains('@') && !text.contains('/')).then(|| Self::Email(text.to_owned()))
    }
}

/// What there is of somebody.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traces {
    pub conferences: u64,
    /// How many of these are not closed yet.
    pub unfinished: u64,
    /// Events about that person; an attendance is not counted.
    pub events: u64,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forget {
    /// Whom these names mean is forgotten from now on.
    Remember(Vec<String>),
    /// Takes these participants, each with its conference's number, out of what is written.
    Erase(Vec<(i64, ParticipantName)>),
}

impl Store {
    /// What is stored of a person. `None`: it cannot be told who is meant.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn traces(&self, who: Subject) -> Result<Option<Traces>, StoreError> {
        let find = move |connection: &Connection| {
            let names = names(connection, &who)?;
            let known = !names.is_empty();
            Ok(if known { Some(rows(connection, &names)?.1) } else { None })
        };
        self.readers().read(find).await
    }

    /// Forgets a person for good, and says what there was. `None`: it cannot be told who is meant. What a failure or a kill
    /// leaves undone is done by asking again.
    ///
    /// # Errors
    /// [`CommitError::Store`]; some of it may be done.
    pub async fn forget(&self, who: Subject, now: Timestamp) -> Result<Option<Traces>, CommitError> {
        let names = self.readers().read(move |connection| names(connection, &who)).await?;
        if names.is_empty() {
            return Ok(None);
        }
        self.write(Task::Forget(Forget::Remember(names.clone())), now).await?;
        // After that, because nothing can be added behind it any more.
        let (found, traces) = self.readers().read(move |connection| rows(connection, &names)).await?;
        for some in found.chunks(STEP) {
            self.write(Task::Forget(Forget::Erase(some.to_vec())), now).await?;
        }
        Ok(Some(traces))
    }
}

/// Google's names, by which a person is known again; none where it cannot be told who is meant.
fn names(connection: &Connection, who: &Subject) -> Result<Vec<String>, StoreError> {
    match who {
        Subject::User(user) => Ok(vec![user.as_str().to_owned()]),
        Subject::Email(email) => accounts(connection, email),
        Subject::Participant(name) => {
            let user = connection
                .prepare_cached(
                    "SELECT p.user FROM conferences c CROSS JOIN participants p ON p.conference = c.id AND p.name = ?2
                     WHERE c.name = ?1",
                )?
                .query_row([name.conference().as_str(), name.as_str()], |row| row.get::<_, Option<String>>(0))
                .optional()?;
            Ok(user.map(|user| user.unwrap_or_else(|| name.as_str().to_owned())).into_iter().collect())
        }
    }
}

/// The participants that these names mean, each with its conference's number, and how much there is of them.
fn rows(connection: &Connection, names: &[String]) -> Result<(Vec<(i64, ParticipantName)>, Traces), StoreError> {
    let (mut found, mut traces) = (Vec::new(), Traces::default());
    let mut statement = connection.prepare_cached(
        "SELECT p.conference, p.name, c.phase <> 'closed' AS unfinished,
                (SELECT count(*) FROM events e
                 WHERE e.conference = p.conference AND e.sequence IS NOT NULL AND e.participant = p.name) AS events
         FROM participants p JOIN conferences c ON c.id = p.conference
         WHERE p.user = ?1 OR p.name = ?1 OR substr(p.name, -length(?2)) = ?2",
    )?;
    for name in names {
        // An account's participants have its id. What names no account ends no participant's name.
        let id = name.strip_prefix("users/").map_or_else(|| "/".to_owned(), |id| format!("/participants/{id}"));
        let mut rows = statement.query([name, &id])?;
        while let Some(row) = rows.next()? {
            found.push((row.get("conference")?, parse_at(row, "name", ParticipantName::parse)?));
            traces.conferences += 1;
            traces.unfinished += u64::from(row.get::<_, bool>("unfinished")?);
            traces.events += u64::try_from(row.get::<_, i64>("events")?).unwrap_or(0);
        }
    }
    Ok((found, traces))
}

fn accounts(connection: &Connection, email: &str) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT DISTINCT user FROM participants WHERE user IS NOT NULL AND email = ?1 COLLATE NOCASE",
    )?;
    let found = statement.query_map([email], |row| row.get(0))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Takes one step.
pub(super) fn step(connection: &Connection, forget: &Forget, now: Timestamp) -> Result<(), CommitError> {
    match forget {
        Forget::Remember(names) => {
            let key = match key(connection)? {
                Some(key) => key,
                None => make_key(connection)?,
            };
            names.iter().try_for_each(|name| remember(connection, &key.hash(name), now))?;
        }
        Forget::Erase(rows) => {
            let key = key(connection)?.ok_or(CommitError::Invariant("nobody was forgotten who could be erased"))?;
            for (conference, name) in rows {
                erase(connection, &key, *conference, name, now)?;
            }
        }
    }
    Ok(())
}

pub(super) fn remember(connection: &Connection, hash: &str, now: Timestamp) -> Result<(), StoreError> {
    let mut statement =
        connection.prepare_cached("INSERT OR IGNORE INTO forgotten (hash, forgotten_at) VALUES (?1, ?2)")?;
    statement.execute(params![hash, nanos(now)])?;
    Ok(())
}

/// The key; `None` while nobody was ever forgotten.
fn key(connection: &Connection) -> Result<Option<Key>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT value FROM meta WHERE key = 'forgotten_key'")?;
    let Some(text) = statement.query_row([], |row| row.get::<_, String>(0)).optional()? else { return Ok(None) };
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| StoreError::Unreadable("forgotten_key"))?;
    Ok(Some(Key::new(bytes)))
}

fn make_key(connection: &Connection) -> Result<Key, StoreError> {
    let mut bytes = vec![0; KEY_BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| StoreError::Io(format!("no random bytes to make a key of ({error})")))?;
    connection
        .prepare_cached("INSERT INTO meta (key, value) VALUES ('forgotten_key', ?1)")?
        .execute([BASE64URL_NOPAD.encode(&bytes)])?;
    Ok(Key::new(bytes))
}

fn is_forgotten(
    connection: &Connection,
    key: &Key,
    user: Option<&str>,
    name: &ParticipantName,
) -> Result<bool, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM forgotten WHERE hash IN (?1, ?2, ?3))")?;
    Ok(statement.query_row(key.hashes(user, name), |row| row.get(0))?)
}

/// The commit without what says who somebody is that was forgotten.
pub(super) fn honour<'c>(
    connection: &Connection,
    commit: &'c Commit,
    now: Timestamp,
) -> Result<Cow<'c, Commit>, StoreError> {
    let mut honoured = Cow::Borrowed(commit);
    let Some(key) = key(connection)? else { return Ok(honoured) };
    for (at, row) in commit.participants.iter().enumerate() {
        if is_forgotten(connection, &key, row.user.as_ref().map(UserName::as_str), &row.name)? {
            // After a restart the name is all that is known.
            remember(connection, &key.hash(row.name.as_str()), now)?;
            blank_row(&mut honoured.to_mut().participants[at]);
        }
    }
    for (at, event) in commit.events.iter().enumerate() {
        if event.participant.is_none() && event.event != EventType::ConferenceEnded {
            continue;
        }
        if let Some(body) = honoured_body(connection, &key, event)? {
            honoured.to_mut().events[at].body = body.into();
        }
    }
    Ok(honoured)
}

/// The body as it may be told; `None` where it is that already.
fn honoured_body(connection: &Connection, key: &Key, row: &NewEvent) -> Result<Option<String>, StoreError> {
    let mut event = parsed(&row.body)?;
    let about = event.participant.iter();
    let rows = event.attendance.iter().filter_map(|attendance| attendance.participants.as_ref()).flatten();
    let people: Vec<_> = about.chain(rows.map(|row| &row.participant)).cloned().collect();
    let mut changed = false;
    for person in people {
        if is_forgotten(connection, key, person.user.as_ref().map(UserName::as_str), &person.name)? {
            let about = (row.participant.as_ref() == Some(&person.name)).then_some(row.session.as_ref());
            changed |= blank_event(&mut event, key, &person.name, about)?;
        }
    }
    changed.then(|| written(&event)).transpose()
}

/// Where a commit closed its conference, the names that Google gave those who were forgotten go, too.
pub(super) fn close(connection: &Connection, commit: &Commit, now: Timestamp) -> Result<(), CommitError> {
    let closed = commit.conference.as_ref().filter(|conference| conference.phase == Phase::Closed);
    let (Some(conference), Some(key)) = (closed, key(connection)?) else { return Ok(()) };
    let number = Numbers::default().of(connection, &conference.name)?;
    let mut people: Vec<(ParticipantName, Option<String>)> = Vec::new();
    let mut statement = connection.prepare_cached("SELECT name, user FROM participants WHERE conference = ?1")?;
    let mut rows = statement.query([number])?;
    while let Some(row) = rows.next()? {
        people.push((parse_at(row, "name", ParticipantName::parse)?, row.get("user")?));
    }
    for (name, user) in people {
        if is_forgotten(connection, &key, user.as_deref(), &name)? {
            erase(connection, &key, number, &name, now)?;
        }
    }
    Ok(())
}
