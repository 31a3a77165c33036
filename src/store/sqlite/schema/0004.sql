-- Who was forgotten: keyed hashes of Google's names for them. The key is in `meta`, so that every copy of the store
-- honours them.
CREATE TABLE forgotten (
    hash            TEXT    PRIMARY KEY,
    forgotten_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
