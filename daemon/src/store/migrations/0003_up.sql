-- The program counts by itself. A statement that fires a trigger may fail half-way, so SQLite first keeps all pages
-- that it changes: some 200 kB for each artifact, most of what writing a row cost.
DROP TRIGGER artifact_counted_in;
DROP TRIGGER artifact_counted_out;
DROP TRIGGER artifact_recounted;
