-- When a version of the schema was reached (nanoseconds since the epoch), and by which program.
CREATE TABLE migration (
    version INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    program TEXT NOT NULL
) STRICT;
