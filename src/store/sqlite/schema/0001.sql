-- What is watched, what was told of it, and what is owed to whom.
--
-- Times are nanoseconds since 1970 (UTC). Google's names are kept whole; inside the store a conference and an endpoint
-- go by a number. 0 stands for "no conference".

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE conferences (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    name            TEXT    NOT NULL UNIQUE,
    space           TEXT,
    meeting_code    TEXT,
    start           INTEGER NOT NULL,
    "end"           INTEGER,
    end_source      TEXT,
    phase           TEXT    NOT NULL CHECK (phase IN ('live', 'ended', 'closed')),
    -- Names, with a space between: no name has one.
    targets         TEXT    NOT NULL,
    identity        TEXT,
    last_sequence   INTEGER NOT NULL,
    present         INTEGER NOT NULL,
    last_listed     INTEGER,
    backfilled_to   INTEGER,
    final_read_due  INTEGER
) STRICT;

-- What a start of the daemon loads, without passing by all that is over.
CREATE INDEX conferences_unfinished ON conferences (id) WHERE phase <> 'closed';

CREATE TABLE participants (
    conference      INTEGER NOT NULL,
    name            TEXT    NOT NULL,
    kind            TEXT    NOT NULL,
    user            TEXT,
    display_name    TEXT,
    earliest_start  INTEGER,
    latest_end      INTEGER,
    email           TEXT,
    affiliation     TEXT,
    seen_by         TEXT,
    last_seen       INTEGER,
    PRIMARY KEY (conference, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    conference      INTEGER NOT NULL,
    name            TEXT    NOT NULL,
    start           INTEGER NOT NULL,
    "end"           INTEGER,
    end_source      TEXT,
    PRIMARY KEY (conference, name)
) STRICT, WITHOUT ROWID;

-- The log. Nothing in it changes but `taken_back_by`.
CREATE TABLE events (
    position        INTEGER PRIMARY KEY AUTOINCREMENT,
    id              TEXT    NOT NULL UNIQUE,
    type            TEXT    NOT NULL,
    conference      INTEGER NOT NULL,
    participant     TEXT,
    session         TEXT,
    sequence        INTEGER,
    time            INTEGER NOT NULL,
    observed_at     INTEGER NOT NULL,
    provenance      TEXT    NOT NULL,
    source          TEXT    NOT NULL,
    n               INTEGER NOT NULL,
    -- The JSON that receivers read, byte for byte.
    body            TEXT    NOT NULL,
    -- The event that corrected or retracted this one, set in the transaction that tells it.
    taken_back_by   TEXT
) STRICT;

CREATE UNIQUE INDEX events_sequence ON events (conference, sequence) WHERE sequence IS NOT NULL;

CREATE TABLE targets (
    name            TEXT    PRIMARY KEY,
    watched_since   INTEGER NOT NULL,
    discovered_to   INTEGER,
    last_looked     INTEGER
) STRICT, WITHOUT ROWID;

-- Conferences that were deleted here and that Google may still show: they are not told again.
CREATE TABLE tombstones (
    conference      TEXT    PRIMARY KEY,
    deleted_at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE endpoints (
    id              INTEGER PRIMARY KEY,
    name            TEXT    NOT NULL UNIQUE,
    state           TEXT    NOT NULL DEFAULT 'on' CHECK (state IN ('on', 'off')),
    -- Since when it is off, and why.
    state_since     INTEGER,
    state_reason    TEXT,
    -- What the configuration says of it; 0 in `configured` once it says nothing any more.
    configured      INTEGER NOT NULL DEFAULT 1,
    ordered         INTEGER NOT NULL DEFAULT 1,
    settle          INTEGER NOT NULL DEFAULT 0,
    max_age         INTEGER,
    -- Whether it is in trouble as a whole, since when, when it is tried again, and how often that failed.
    breaker         TEXT    NOT NULL DEFAULT 'closed' CHECK (breaker IN ('closed', 'open', 'draining')),
    trouble_since   INTEGER,
    probe_at        INTEGER,
    probes          INTEGER NOT NULL DEFAULT 0,
    -- How many deliveries are pending or leased, and how many ended in a way that is not arriving: kept here, because
    -- counting them is slow.
    owed            INTEGER NOT NULL DEFAULT 0,
    dead            INTEGER NOT NULL DEFAULT 0,
    expired         INTEGER NOT NULL DEFAULT 0,
    -- How many were ever settled; never less.
    settled         INTEGER NOT NULL DEFAULT 0
) STRICT;

-- How attempts fared, by the hour (since 1970).
CREATE TABLE attempt_hours (
    endpoint        INTEGER NOT NULL,
    hour            INTEGER NOT NULL,
    arrived         INTEGER NOT NULL,
    failed          INTEGER NOT NULL,
    PRIMARY KEY (endpoint, hour)
) STRICT, WITHOUT ROWID;

-- One conference on one endpoint: what has to arrive in order.
CREATE TABLE lanes (
    id              INTEGER PRIMARY KEY,
    endpoint        INTEGER NOT NULL,
    conference      INTEGER NOT NULL,
    -- The event that was owed last, but for settled ones.
    last_position   INTEGER,
    UNIQUE (conference, endpoint)
) STRICT;

CREATE TABLE deliveries (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    position        INTEGER NOT NULL,
    endpoint        INTEGER NOT NULL,
    lane            INTEGER NOT NULL,
    state           TEXT    NOT NULL CHECK (state IN ('pending', 'leased', 'done', 'dead', 'settled', 'expired')),
    -- 1 while it is this delivery's turn in its lane. Where order does not matter it always is.
    head            INTEGER NOT NULL,
    due_at          INTEGER NOT NULL,
    owed_at         INTEGER NOT NULL,
    -- Until when it is held back to see whether it undoes itself.
    settle_until    INTEGER,
    -- When an operator asked for it once more.
    replayed_at     INTEGER,
    -- When its first attempt began.
    tried_since     INTEGER,
    -- When it has to give way, if others wait behind it.
    hold_until      INTEGER,
    -- How often it was claimed: the number of the current claim, so that a late answer to an earlier one is told apart.
    claims          INTEGER NOT NULL DEFAULT 0,
    lease_until     INTEGER,
    attempts        INTEGER NOT NULL DEFAULT 0,
    -- How many of the attempts count for the schedule.
    failures        INTEGER NOT NULL DEFAULT 0,
    -- How many of the last attempts were rejected, one after another.
    rejections      INTEGER NOT NULL DEFAULT 0,
    -- The position of the event that was owed to this endpoint before this one, in the same conference.
    previous        INTEGER,
    -- Why the last attempt failed, or why there is none.
    reason          TEXT,
    finished_at     INTEGER
) STRICT;

-- Whether an endpoint was owed an event.
CREATE UNIQUE INDEX deliveries_lane ON deliveries (lane, position);
-- Who is next in a lane.
CREATE INDEX deliveries_open ON deliveries (lane, position) WHERE state IN ('pending', 'leased');
-- What is due. Only heads are in it, so a backlog behind them costs a claim nothing.
CREATE INDEX deliveries_due ON deliveries (endpoint, due_at) WHERE head = 1 AND state = 'pending';
-- Those that failed and are tried again.
CREATE INDEX deliveries_failed ON deliveries (endpoint, due_at) WHERE head = 1 AND state = 'pending' AND attempts > 0;
-- The oldest that is owed is always somebody's head.
CREATE INDEX deliveries_oldest ON deliveries (endpoint, owed_at) WHERE head = 1;
CREATE INDEX deliveries_leased ON deliveries (lease_until) WHERE state = 'leased';
CREATE INDEX deliveries_settling ON deliveries (lane) WHERE state = 'pending' AND settle_until IS NOT NULL;
-- What never arrived, for those who ask.
CREATE INDEX deliveries_skipped ON deliveries (endpoint, id) WHERE state IN ('dead', 'settled', 'expired');
CREATE INDEX deliveries_settled ON deliveries (lane, position) WHERE state = 'settled';

CREATE TABLE attempts (
    delivery        INTEGER NOT NULL,
    number          INTEGER NOT NULL,
    began_at        INTEGER NOT NULL,
    duration        INTEGER NOT NULL,
    status          INTEGER,
    -- NULL for a success.
    reason          TEXT,
    -- The start of the answer, where there was one.
    answer          TEXT,
    PRIMARY KEY (delivery, number)
) STRICT, WITHOUT ROWID;
