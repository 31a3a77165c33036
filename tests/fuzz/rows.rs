//! A store with arbitrary values in its rows: either it is refused, or it is loaded and the schedule continues with it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use meetwatch::backoff::{Backoff, Random};
use meetwatch::clock::Now;
use meetwatch::meet::{Answer, ParticipantFilter, Read, ReadError, Reading, Reason};
use meetwatch::model::{
    Conference, ConferenceName, IdentityName, MeetingCode, Participant, ParticipantKind, ParticipantName, Session,
    SessionName, Space, SpaceName, TargetName,
};
use meetwatch::status::StatusBoard;
use meetwatch::store::{Commit, Db, Phase, StoreError};
use meetwatch::watch::{
    Memory, Scheduler, SchedulerCommand, SchedulerInput, Setup, TargetSelector, TargetSettings, WatchIdentity,
    WatchMetrics, WatchSettings,
};
use prometheus::{IntCounterVec, Opts, Registry};
use rusqlite::Connection;
use rusqlite::types::Value;

/// A conference with one person present, one who came twice, and one without sessions.
const MEETING: &str = r#"
INSERT INTO conferences (id, name, space, meeting_code, start, "end", end_source, phase, targets, identity, last_sequence, present, last_listed, backfilled_to)
VALUES (1, 'conferenceRecords/c', 'spaces/s', 'abc-mnop-xyz', 1000, NULL, NULL, 'live', 'board', 'one', 9, 1, 90000, 80000);
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
INSERT INTO targets (name, watched_since, discovered_to, last_looked) VALUES ('all', 500, 60000, 90000), ('board', 500, NULL, NULL);
INSERT INTO tombstones (conference, deleted_at) VALUES ('conferenceRecords/old', 700);
INSERT INTO endpoints (id, name, state, state_since, state_reason) VALUES (1, 'ops', 'on', NULL, NULL), (2, 'quiet', 'off', 800, 'gone');
"#;

/// The tables that a start of the daemon reads, each with its key.
const TABLES: [(&str, &str); 7] = [
    ("conferences", "name"),
    ("participants", "name"),
    ("sessions", "name"),
    ("events", "position"),
    ("targets", "name"),
    ("tombstones", "conference"),
    ("endpoints", "name"),
];

/// A store with the meeting in it, and a copy of its original rows.
struct MeetingStore {
    db: Db,
    connection: Connection,
    metrics: WatchMetrics,
    _folder: tempfile::TempDir,
}

impl MeetingStore {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().join("meetwatch.db");
        let db = Db::open(&path, Timestamp::UNIX_EPOCH).expect("a store can be made");
        let connection = Connection::open(path).expect("a store can be opened");
        connection.execute_batch("PRAGMA synchronous = OFF; ATTACH ':memory:' AS was").expect("a store can be set up");
        connection.execute_batch(MEETING).expect("the meeting fits the schema");
        for (table, _) in TABLES {
            let copy = format!("CREATE TABLE was.{table} AS SELECT * FROM main.{table}");
            connection.execute_batch(&copy).expect("a table can be copied");
        }
        let limit = IntCounterVec::new(Opts::new("limit", "limit"), &["limit"]).expect("a metric");
        let metrics = WatchMetrics::new(&Registry::new(), limit).expect("metrics can be made");
        Self { db, connection, metrics, _folder: folder }
    }

    /// Makes the changes, and returns the lines that changed nothing.
    fn change_all<'a>(&self, text: &'a str) -> Vec<&'a str> {
        self.connection.execute_batch("BEGIN").expect("a transaction can be begun");
        let idle = text.lines().take(50).filter(|line| self.change(line) == 0).collect();
        self.connection.execute_batch("COMMIT").expect("and be committed");
        idle
    }

    /// Undoes every change.
    fn restore(&self) {
        for (table, _) in TABLES {
            let undo = format!("DELETE FROM main.{table}; INSERT INTO main.{table} SELECT * FROM was.{table}");
            self.connection.execute_batch(&undo).expect("a table can be filled again");
        }
    }

    /// Changes all rows of a table (`table column value`) or one (`table column value number`). Returns how many
    /// changed. The schema refuses values that do not fit.
    fn change(&self, line: &str) -> usize {
        let mut words = line.splitn(4, ' ');
        let (Some(table), Some(column), Some(value)) = (words.next(), words.next(), words.next()) else { return 0 };
        let Some((_, key)) = TABLES.into_iter().find(|(name, _)| *name == table) else { return 0 };
        if !column.chars().all(|one| one.is_ascii_lowercase() || one == '_') {
            return 0;
        }
        let value = match value.parse::<i64>() {
            Ok(number) => Value::Integer(number),
            Err(_) if value == "null" => Value::Null,
            Err(_) => Value::Text(value.to_owned()),
        };
        let which = words.next().and_then(|number| number.parse::<u8>().ok()).map_or_else(String::new, |number| {
            format!("AND {key} = (SELECT {key} FROM {table} ORDER BY {key} LIMIT 1 OFFSET {number})")
        });
        let change = format!(r#"UPDATE {table} SET "{column}" = ?1 WHERE "{column}" IS NOT ?1 {which}"#);
        self.connection.execute(&change, [value]).unwrap_or(0)
    }

    /// Reads what a start of the daemon reads.
    fn load(&self) -> Result<Memory, StoreError> {
        self.db.outbox_summary()?;
        Ok(Memory {
            conferences: self.db.load_unfinished()?,
            targets: self.db.targets()?,
            finished: self.db.finished()?,
        })
    }
}

thread_local! {
    static STORE: MeetingStore = MeetingStore::new();
}

/// Changes the rows that a start reads, line by line. Returns whether a schedule can be made of them.
pub fn rows(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    STORE.with(|store| {
        store.change_all(text);
        let memory = store.load();
        store.restore();
        let Ok(memory) = memory else { return false };
        let understood = !memory.conferences.is_empty();
        Life::begin(memory, store.metrics.clone()).go_on();
        understood
    })
}

/// Returns the lines of an input that change no row.
pub fn idle_lines(text: &str) -> Vec<&str> {
    STORE.with(|store| {
        let idle = store.change_all(text);
        store.restore();
        idle
    })
}

/// How often the schedule is woken.
const WAKES: u32 = 24;

/// The life after a start: a schedule whose reads are answered and whose commits succeed.
struct Life {
    scheduler: Scheduler,
    now: Now,
    /// The meeting is over.
    over: bool,
    reads: u32,
    /// The last emitted sequence number of each conference.
    emitted: BTreeMap<ConferenceName, u64>,
    closed: BTreeSet<ConferenceName>,
}

impl Life {
    fn begin(memory: Memory, metrics: WatchMetrics) -> Self {
        let now = Now { mono: Duration::ZERO, wall: Timestamp::UNIX_EPOCH }.after(Duration::from_secs(10_000));
        let backoff = Backoff::new(Duration::from_secs(5), 2.0, Duration::from_secs(120), 0.2).expect("a policy");
        let stored = memory.conferences.iter().map(|stored| &stored.conference);
        let emitted = stored.map(|row| (row.name.clone(), row.last_sequence)).collect();
        let random = Random::with_seed(3);
        let scheduler = Scheduler::new(setup(), memory, backoff, random, metrics, StatusBoard::default(), now);
        Self { scheduler, now, over: false, reads: 0, emitted, closed: BTreeSet::new() }
    }

    fn go_on(&mut self) {
        for wake in 0..WAKES {
            self.over = wake >= WAKES / 2;
            // Now and then the schedule pauses for an hour.
            let pause = if wake % 6 == 5 { Duration::from_secs(3600) } else { Duration::ZERO };
            let Some(due) = self.scheduler.next_wake() else { return };
            self.now = self.now.after(due.saturating_sub(self.now.mono).min(Duration::from_secs(3600)) + pause);
            let mut inputs = vec![SchedulerInput::Tick];
            while let Some(input) = inputs.pop() {
                for command in self.scheduler.step(self.now, input) {
                    inputs.push(self.follow(command));
                }
            }
        }
    }

    fn follow(&mut self, command: SchedulerCommand) -> SchedulerInput {
        match command {
            SchedulerCommand::Commit { key, commit } => {
                if self.accept(&commit) {
                    SchedulerInput::Committed(key, true)
                } else {
                    SchedulerInput::Contradicted(key, None)
                }
            }
            SchedulerCommand::Read { key, read, .. } => {
                self.reads += 1;
                SchedulerInput::Answered(key, self.answer(&read))
            }
        }
    }

    /// Whether the store would accept a commit: it refuses events of a closed conference.
    fn accept(&mut self, commit: &Commit) -> bool {
        let Some(row) = &commit.conference else { return true };
        if self.closed.contains(&row.name) {
            return false;
        }
        let emitted = self.emitted.entry(row.name.clone()).or_default();
        for sequence in commit.events.iter().filter_map(|event| event.sequence) {
            assert_eq!(sequence, emitted.saturating_add(1), "sequence numbers have no hole");
            *emitted = sequence;
        }
        assert_eq!(row.last_sequence, *emitted, "the conference row has the last sequence number");
        if row.phase == Phase::Closed {
            self.closed.insert(row.name.clone());
        }
        true
    }

    fn answer(&self, read: &Read) -> Result<Reading, ReadError> {
        let refused = |reason| ReadError {
            reason,
            attempted: "read",
            detail: String::new(),
            remedy: "",
            retry_after: None,
            used_up: None,
            requests: 0,
        };
        if self.reads.is_multiple_of(7) {
            return Err(refused(if self.reads.is_multiple_of(2) { Reason::NoAccess } else { Reason::NotFound }));
        }
        let meeting = || parsed("conferenceRecords/c", ConferenceName::parse);
        let answer = match read {
            Read::Conference(name) => Answer::Conference(self.record(name.clone())),
            Read::Conferences(filter) if filter.live == self.over => Answer::Conferences(Vec::new()),
            Read::Conferences(_) => Answer::Conferences(vec![self.record(meeting())]),
            Read::Space(_) | Read::SpaceByCode(_) => Answer::Space(Space {
                name: parsed("spaces/s", SpaceName::parse),
                meeting_code: Some(parsed("abc-mnop-xyz", MeetingCode::parse)),
                active_conference: (!self.over).then(meeting),
            }),
            Read::Participants(name, filter) => {
                let active = *filter == ParticipantFilter::Active;
                let known = if active { ["a"].iter() } else { ["a", "b", "e"].iter() };
                let shown = !active || (!self.over && self.reads % 4 != 3);
                let all = known.filter(|_| shown).map(|id| format!("{name}/participants/{id}"));
                Answer::Participants(all.map(|name| self.person(parsed(&name, ParticipantName::parse))).collect())
            }
            Read::Participant(name) => Answer::Participant(self.person(name.clone())),
            Read::Sessions(name, _) => {
                let name = parsed(&format!("{name}/participantSessions/1"), SessionName::parse);
                Answer::Sessions(vec![self.session(name)])
            }
            Read::Session(name) => Answer::Session(self.session(name.clone())),
            Read::People(_) => Answer::People(Vec::new()),
        };
        Ok(Reading::whole(answer, Some(self.now.wall), 1))
    }

    /// The end of everything in the meeting, once it is over.
    fn end(&self) -> Option<Timestamp> {
        self.over.then(|| Timestamp::from_second(9000).unwrap_or_default())
    }

    fn record(&self, name: ConferenceName) -> Conference {
        Conference { name, space: None, start: Timestamp::UNIX_EPOCH, end: self.end(), expire: None }
    }

    fn person(&self, name: ParticipantName) -> Participant {
        let earliest_start = Some(Timestamp::UNIX_EPOCH);
        Participant {
            name,
            kind: ParticipantKind::SignedIn,
            user: None,
            display_name: None,
            earliest_start,
            latest_end: self.end(),
        }
    }

    fn session(&self, name: SessionName) -> Session {
        Session { name, start: Timestamp::UNIX_EPOCH, end: self.end() }
    }
}

fn setup() -> Setup {
    let identity = |name, looks_up| WatchIdentity { name: parsed(name, IdentityName::parse), looks_up, budget: 1e9 };
    let target = |name, by, selector| TargetSettings {
        name: parsed(name, TargetName::parse),
        identity: parsed(by, IdentityName::parse),
        selector,
        poll_interval: Duration::from_secs(10),
    };
    let code = parsed("abc-mnop-xyz", MeetingCode::parse);
    Setup {
        settings: WatchSettings::default(),
        targets: vec![
            target("board", "one", TargetSelector::MeetingCode(code)),
            target("all", "two", TargetSelector::Organizer),
        ],
        identities: vec![identity("one", false), identity("two", true)],
        routes: Vec::new(),
        internal_domains: Vec::new(),
        project_budget: 1e9,
    }
}

fn parsed<T, E: std::fmt::Debug>(text: &str, parse: impl Fn(&str) -> Result<T, E>) -> T {
    parse(text).expect("a name")
}
