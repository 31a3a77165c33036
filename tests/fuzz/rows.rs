//! A store whose rows say anything: it is refused, or what it says is taken up and watched on.

use std::time::Duration;

use meetwatch::clock::Now;
use meetwatch::model::{Conference, ConferenceName, IdentityName};
use meetwatch::store::Db;
use meetwatch::watch::roster::{Directory, Moment, Observation, Roster, Rules, Seen};
use rusqlite::Connection;
use rusqlite::types::Value;

/// A conference in which one person is, one was twice, and one only seems to have been.
const MEETING: &str = r#"
INSERT INTO conferences (id, name, space, meeting_code, start, "end", end_source, phase, targets, last_sequence, present, last_listed)
VALUES (1, 'conferenceRecords/c', 'spaces/s', 'abc-mnop-xyz', 1000, NULL, NULL, 'live', 'board', 9, 1, 90000);
INSERT INTO participants (conference, name, kind, display_name, earliest_start, latest_end, seen_by, last_seen)
VALUES (1, 'conferenceRecords/c/participants/a', 'signed_in', 'Ada', 2000, NULL, 'one', NULL),
       (1, 'conferenceRecords/c/participants/b', 'anonymous', 'Bob', 2000, 9000, NULL, 8000),
       (1, 'conferenceRecords/c/participants/d', 'phone', NULL, 2000, 3000, NULL, NULL);
INSERT INTO sessions (conference, name, start, "end", end_source)
VALUES (1, 'conferenceRecords/c/participants/a/participantSessions/1', 2000, NULL, NULL),
       (1, 'conferenceRecords/c/participants/b/participantSessions/1', 2000, 3000, 'google'),
       (1, 'conferenceRecords/c/participants/b/participantSessions/2', 4000, 9000, 'inferred');
INSERT INTO events (id, type, conference, participant, session, sequence, time, observed_at, provenance, source, n, body, taken_back_by)
VALUES ('1', 'conference.started', 1, NULL, NULL, 1, 1000, 1500, 'observed', 'google', 0, '{}', NULL),
       ('2', 'session.started', 1, 'conferenceRecords/c/participants/a', 'conferenceRecords/c/participants/a/participantSessions/1', 2, 2000, 2500, 'observed', 'google', 0, '{}', NULL),
       ('3', 'participant.joined', 1, 'conferenceRecords/c/participants/a', 'conferenceRecords/c/participants/a/participantSessions/1', 3, 2000, 2500, 'observed', 'google', 0, '{}', NULL),
       ('4', 'participant.joined', 1, 'conferenceRecords/c/participants/b', NULL, 4, 2000, 2500, 'observed', 'google', 0, '{}', NULL),
       ('5', 'participant.left', 1, 'conferenceRecords/c/participants/b', NULL, 5, 3000, 3500, 'observed', 'google', 0, '{}', '7'),
       ('6', 'session.ended', 1, 'conferenceRecords/c/participants/b', 'conferenceRecords/c/participants/b/participantSessions/1', 6, 3000, 3500, 'observed', 'google', 0, '{}', NULL),
       ('7', 'participant.left', 1, 'conferenceRecords/c/participants/b', NULL, 7, 9000, 9500, 'inferred', 'inferred', 0, '{}', NULL),
       ('8', 'session.ended', 1, 'conferenceRecords/c/participants/b', 'conferenceRecords/c/participants/b/participantSessions/2', 8, 9000, 9500, 'inferred', 'inferred', 0, '{}', NULL),
       ('9', 'watch.gap', 1, NULL, NULL, 9, 4000, 5000, 'observed', 'google', 0, '{}', NULL);
"#;

/// What a start of the daemon reads.
const TABLES: [&str; 4] = ["conferences", "participants", "sessions", "events"];

/// A store with the meeting in it, and how it was.
struct Store {
    db: Db,
    connection: Connection,
    _folder: tempfile::TempDir,
}

impl Store {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("meetwatch.db");
        let db = Db::open(&path, jiff::Timestamp::UNIX_EPOCH).expect("a store can be made");
        let connection = Connection::open(path).expect("a store can be opened");
        connection.execute_batch("PRAGMA synchronous = OFF; ATTACH ':memory:' AS was").expect("a store can be set up");
        connection.execute_batch(MEETING).expect("the meeting fits the schema");
        for table in TABLES {
            let copy = format!("CREATE TABLE was.{table} AS SELECT * FROM main.{table}");
            connection.execute_batch(&copy).expect("a table can be copied");
        }
        Self { db, connection, _folder: folder }
    }

    /// Undoes every change.
    fn mend(&self) {
        for table in TABLES {
            let undo = format!("DELETE FROM main.{table}; INSERT INTO main.{table} SELECT * FROM was.{table}");
            self.connection.execute_batch(&undo).expect("a table can be filled again");
        }
    }

    /// Changes every row of a table, or one, as `table column value` or `table column value number` say. What does not fit the
    /// schema cannot come to stand in it.
    fn change(&self, line: &str) {
        let mut words = line.splitn(4, ' ');
        let (Some(table), Some(column), Some(value)) = (words.next(), words.next(), words.next()) else { return };
        if !TABLES.contains(&table) || !column.chars().all(|one| one.is_ascii_lowercase() || one == '_') {
            return;
        }
        let value = match value.parse::<i64>() {
            Ok(number) => Value::Integer(number),
            Err(_) if value == "null" => Value::Null,
            Err(_) => Value::Text(value.to_owned()),
        };
        let key = if table == "events" { "position" } else { "name" };
        let which = words.next().and_then(|number| number.parse::<u8>().ok()).map_or_else(String::new, |number| {
            format!("WHERE {key} = (SELECT {key} FROM {table} ORDER BY {key} LIMIT 1 OFFSET {number})")
        });
        let _refused = self.connection.execute(&format!(r#"UPDATE {table} SET "{column}" = ?1 {which}"#), [value]);
    }
}

thread_local! {
    static STORE: Store = Store::new();
}

/// The rows that a start reads, changed line by line. Understood is what a roster can be made of.
pub fn rows(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    STORE.with(|store| {
        store.connection.execute_batch("BEGIN").expect("a transaction can be begun");
        text.lines().take(50).for_each(|line| store.change(line));
        store.connection.execute_batch("COMMIT").expect("and be committed");
        let loaded = store.db.load_unfinished();
        store.mend();
        let Ok(loaded) = loaded else { return false };
        let understood = !loaded.is_empty();
        for stored in loaded {
            let name = stored.conference.name.clone();
            watch_on(Roster::restore(stored, Duration::ZERO), &name);
        }
        understood
    })
}

/// What follows after a start, each with all that is told of it.
fn watch_on(roster: Roster, name: &ConferenceName) {
    let by = IdentityName::parse("one").expect("a name");
    let rules = Rules::new(Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(600));
    let record =
        |end| Conference { name: name.clone(), space: None, start: jiff::Timestamp::UNIX_EPOCH, end, expire: None };
    let end = jiff::Timestamp::from_second(9000).ok();
    let seen = [
        Seen::Active { participants: Vec::new(), reason: "late" },
        Seen::Record(record(None)),
        Seen::Active { participants: Vec::new(), reason: "late" },
        Seen::Lost,
        Seen::Record(record(end)),
        Seen::Everybody { participants: Vec::new(), reason: "late" },
        Seen::Complete,
    ];
    let mut roster = roster;
    for (seen, hour) in seen.into_iter().zip(0_u32..) {
        let mono = Duration::from_secs(3600) * hour;
        let wall = jiff::Timestamp::from_second(10_000 + 3600 * i64::from(hour)).unwrap_or_default();
        let moment = Moment { now: Now { mono, wall }, google: wall };
        let before = roster.sequence();
        let outcome = roster.observe(&Observation { moment, by: by.clone(), seen }, &Directory::default(), &rules);
        let told = u64::try_from(outcome.told.len()).unwrap_or(u64::MAX);
        assert_eq!(outcome.roster.sequence(), before.saturating_add(told), "each telling has a number of its own");
        roster = outcome.roster;
    }
}
