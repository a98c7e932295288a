-- Snapshots that were found not to be whole, until they are verified again or deleted. Those of the ancestor have
-- no row in `snapshot`.
CREATE TABLE damage (
    collection TEXT NOT NULL,
    snapshot TEXT NOT NULL,
    -- The first thing that is wrong, in words.
    why TEXT NOT NULL,
    PRIMARY KEY (collection, snapshot)
) STRICT, WITHOUT ROWID;
