-- Bytes under their SHA-256.
CREATE TABLE object (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    -- 0: the bytes as they are; 1: deflated; 2: the hashes of the parts.
    packing INTEGER NOT NULL CHECK (packing IN (0, 1, 2)),
    -- Of the bytes themselves.
    size INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;

-- Every change, by whomever. Moments are nanoseconds since the epoch.
CREATE TABLE operation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    finished_at INTEGER,
    -- Who asked: cli, http, job or external.
    actor TEXT NOT NULL,
    -- What was done, such as artifact.remove.
    verb TEXT NOT NULL,
    -- What was asked, in words.
    what TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'done', 'rolled-back', 'undone')),
    -- The operation that this one takes back.
    undoes INTEGER REFERENCES operation (id) ON DELETE SET NULL,
    -- More about it, as JSON; may be empty.
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX operation_open ON operation (id) WHERE state = 'open';
CREATE INDEX operation_undoes ON operation (undoes) WHERE undoes IS NOT NULL;

-- What an operation touches. A state is NULL where nothing stood.
CREATE TABLE operation_path (
    operation INTEGER NOT NULL REFERENCES operation (id) ON DELETE CASCADE,
    -- The collection; empty for the home itself.
    root TEXT NOT NULL,
    path TEXT NOT NULL,
    before BLOB,
    after BLOB,
    PRIMARY KEY (operation, root, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX operation_path_place ON operation_path (root, path, operation);

CREATE TABLE snapshot (
    collection TEXT NOT NULL,
    -- The moment, as the ancestor spells it.
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    message TEXT NOT NULL,
    -- Why it was made: manual, safety, scheduled or imported.
    origin TEXT NOT NULL,
    state BLOB NOT NULL,
    artifacts INTEGER NOT NULL,
    files INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    -- Bytes that it added to the history.
    stored INTEGER NOT NULL,
    PRIMARY KEY (collection, id)
) STRICT, WITHOUT ROWID;

-- The last state of a place that was kept, for changes from outside that are noticed later.
CREATE TABLE known (
    root TEXT NOT NULL,
    path TEXT NOT NULL,
    state BLOB NOT NULL,
    PRIMARY KEY (root, path)
) STRICT, WITHOUT ROWID;

-- How files looked when they were last read, so that they need not be read again. May be lost at any time.
CREATE TABLE seen (
    top BLOB NOT NULL,
    folder BLOB NOT NULL,
    said BLOB NOT NULL,
    PRIMARY KEY (top, folder)
) STRICT, WITHOUT ROWID;
