DROP INDEX artifact_position_anywhere;
DROP INDEX artifact_position;
ALTER TABLE artifact DROP COLUMN position;
