-- What pruning looks for, without passing by all that stays.

-- Conferences that are over, the oldest first.
CREATE INDEX conferences_closed ON conferences ("end", id) WHERE phase = 'closed';
-- Events of no conference: only these have no sequence.
CREATE INDEX events_alone ON events (position) WHERE conference = 0;
