-- What goes to an endpoint together.

-- How many events at most, and how long the first waits for others. NULL: each goes alone.
ALTER TABLE endpoints ADD COLUMN max_events INTEGER;
ALTER TABLE endpoints ADD COLUMN max_wait INTEGER NOT NULL DEFAULT 0;

-- The delivery that leads the batch, which is claimed and recorded for all of it; its own for the leader. It stays when
-- the batch is over.
ALTER TABLE deliveries ADD COLUMN batch INTEGER;
-- The leader's alone: what the batch is sent as.
ALTER TABLE deliveries ADD COLUMN batch_id TEXT;

CREATE INDEX deliveries_batch ON deliveries (batch, position) WHERE batch IS NOT NULL;
