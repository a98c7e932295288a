DROP TABLE seen;
DROP TABLE known;
DROP TABLE snapshot;
DROP TABLE operation_path;
DROP TABLE operation;
DROP TABLE object;
