-- Everything here is derived from files and may be deleted at any time.

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- When scheduled work is due. Times are nanoseconds since the epoch.
CREATE TABLE schedule (
    name TEXT PRIMARY KEY,
    next_due INTEGER NOT NULL,
    last_run INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE collection (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    path TEXT NOT NULL,
    external INTEGER NOT NULL,
    -- ok, broken, no-manifest or unreachable
    state TEXT NOT NULL,
    -- what the manifest and the lock looked like when they were last read; see reconcile
    manifest_seen BLOB,
    lock_seen BLOB,
    -- hash of the columns below and of groups and tag definitions
    row_hash BLOB NOT NULL,
    header TEXT NOT NULL,
    unknown_keys TEXT NOT NULL,
    problems TEXT NOT NULL
) STRICT;

CREATE TABLE artifact (
    id INTEGER PRIMARY KEY,
    collection_id INTEGER NOT NULL REFERENCES collection (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    name TEXT NOT NULL COLLATE NOCASE,
    path TEXT NOT NULL,
    status TEXT NOT NULL,
    origin TEXT NOT NULL,
    description TEXT,
    title TEXT,
    author TEXT,
    license TEXT,
    version TEXT,
    tags TEXT NOT NULL,
    tools TEXT NOT NULL,
    aliases TEXT NOT NULL,
    scope TEXT,
    source TEXT,
    origin_source TEXT,
    version_spec TEXT,
    resolved_sha TEXT,
    resolved_version TEXT,
    content_hash TEXT,
    structure_hash TEXT,
    file_count INTEGER NOT NULL,
    size INTEGER NOT NULL,
    parse_status TEXT NOT NULL,
    problem_count INTEGER NOT NULL,
    synced_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    -- Change detection; see reconcile.
    signature BLOB NOT NULL,
    newest INTEGER NOT NULL,
    scanned_at INTEGER NOT NULL,
    entry_hash BLOB NOT NULL,
    row_hash BLOB NOT NULL,
    invalidated INTEGER NOT NULL DEFAULT 0,
    -- 0 waiting for the text index, 1 indexed, 2 evicted to save space
    text_state INTEGER NOT NULL DEFAULT 0,
    -- names that differ in case only are found together, but they are two artifacts
    UNIQUE (collection_id, kind, name COLLATE BINARY, path)
) STRICT;

CREATE INDEX artifact_name ON artifact (collection_id, name, kind, id);
CREATE INDEX artifact_name_anywhere ON artifact (name, kind, id);
CREATE INDEX artifact_updated ON artifact (collection_id, updated_at DESC, id);
CREATE INDEX artifact_updated_anywhere ON artifact (updated_at DESC, id);
CREATE INDEX artifact_size ON artifact (collection_id, size DESC, id);
CREATE INDEX artifact_size_anywhere ON artifact (size DESC, id);
CREATE INDEX artifact_path ON artifact (collection_id, path);
CREATE INDEX artifact_without_text ON artifact (id) WHERE text_state = 0;
CREATE INDEX artifact_text_evicted ON artifact (id) WHERE text_state = 2;
CREATE INDEX artifact_invalidated ON artifact (collection_id) WHERE invalidated = 1;

-- What only `show` needs, apart from the rows that lists read.
CREATE TABLE artifact_detail (
    artifact_id INTEGER PRIMARY KEY REFERENCES artifact (id) ON DELETE CASCADE,
    tool_patterns TEXT NOT NULL,
    dependencies TEXT NOT NULL,
    frontmatter TEXT NOT NULL,
    parse_error TEXT,
    parse_line INTEGER,
    manifest TEXT,
    lock TEXT,
    problems TEXT NOT NULL,
    -- of each file: path, bytes, kind, whether it may be executed, when it was modified
    files TEXT NOT NULL
) STRICT;

CREATE TABLE artifact_tag (
    tag TEXT NOT NULL COLLATE NOCASE,
    artifact_id INTEGER NOT NULL REFERENCES artifact (id) ON DELETE CASCADE,
    PRIMARY KEY (tag, artifact_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX artifact_tag_artifact ON artifact_tag (artifact_id);

-- Kept exact by triggers, so that totals cost nothing at any size.
CREATE TABLE artifact_count (
    collection_id INTEGER NOT NULL REFERENCES collection (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    artifacts INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (collection_id, kind, status)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER artifact_counted_in AFTER INSERT ON artifact BEGIN
    INSERT INTO artifact_count VALUES (new.collection_id, new.kind, new.status, 1, new.size)
    ON CONFLICT DO UPDATE SET artifacts = artifacts + 1, bytes = bytes + new.size;
END;
CREATE TRIGGER artifact_counted_out AFTER DELETE ON artifact BEGIN
    UPDATE artifact_count SET artifacts = artifacts - 1, bytes = bytes - old.size
    WHERE collection_id = old.collection_id AND kind = old.kind AND status = old.status;
END;
CREATE TRIGGER artifact_recounted AFTER UPDATE OF kind, status, size ON artifact BEGIN
    UPDATE artifact_count SET artifacts = artifacts - 1, bytes = bytes - old.size
    WHERE collection_id = old.collection_id AND kind = old.kind AND status = old.status;
    INSERT INTO artifact_count VALUES (new.collection_id, new.kind, new.status, 1, new.size)
    ON CONFLICT DO UPDATE SET artifacts = artifacts + 1, bytes = bytes + new.size;
END;

CREATE TABLE collection_group (
    id INTEGER PRIMARY KEY,
    collection_id INTEGER NOT NULL REFERENCES collection (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    color TEXT NOT NULL,
    icon TEXT NOT NULL,
    position INTEGER NOT NULL
) STRICT;
CREATE INDEX collection_group_collection ON collection_group (collection_id, position, id);

CREATE TABLE group_member (
    group_id INTEGER NOT NULL REFERENCES collection_group (id) ON DELETE CASCADE,
    collection_id INTEGER NOT NULL,
    position INTEGER NOT NULL,
    -- as the manifest spells it
    member TEXT NOT NULL,
    -- null: the member is a bare name
    kind TEXT,
    name TEXT NOT NULL COLLATE NOCASE,
    PRIMARY KEY (group_id, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX group_member_name ON group_member (collection_id, name);

CREATE TABLE tag_definition (
    collection_id INTEGER NOT NULL REFERENCES collection (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    slug TEXT NOT NULL,
    color TEXT NOT NULL,
    description TEXT NOT NULL,
    PRIMARY KEY (collection_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    collection TEXT NOT NULL,
    artifact TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;

-- The texts of an artifact's files, one after the other; bounded per file and per artifact.
CREATE TABLE artifact_text (
    artifact_id INTEGER PRIMARY KEY REFERENCES artifact (id) ON DELETE CASCADE,
    -- JSON: path and bytes of each
    files TEXT NOT NULL,
    size INTEGER NOT NULL,
    text TEXT NOT NULL
) STRICT;
-- All that ranking needs, apart from the texts.
CREATE INDEX artifact_text_size ON artifact_text (artifact_id, size);

-- rowid = artifact.id
CREATE VIRTUAL TABLE metadata_index USING fts5 (
    name, aliases, title, tags, description, author,
    content = '', contentless_delete = 1,
    tokenize = 'unicode61 remove_diacritics 2'
);
-- rowid = artifact.id; each word of the texts once, folded before it comes here. Knows which artifacts hold a
-- word, but not where: phrases are looked for in artifact_text.
CREATE VIRTUAL TABLE text_index USING fts5 (
    words,
    content = '', contentless_delete = 1, detail = none,
    tokenize = 'ascii'
);
CREATE VIRTUAL TABLE metadata_terms USING fts5vocab (metadata_index, row);
CREATE VIRTUAL TABLE text_terms USING fts5vocab (text_index, row);

INSERT INTO meta VALUES ('instance', lower(hex(randomblob(8))));

-- Larger segments before the first flush make the first build nearly twice as fast (bytes).
INSERT INTO text_index (text_index, rank) VALUES ('hashsize', 67108864);
