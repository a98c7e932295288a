-- Where an artifact's entry puts it among the others. Most have no position and cost the indexes nothing.
ALTER TABLE artifact ADD COLUMN position INTEGER;
UPDATE artifact SET position = entry.position FROM (
    SELECT artifact_id, json_extract(manifest, '$.position') AS position FROM artifact_detail WHERE json_valid(manifest)
) AS entry
WHERE entry.artifact_id = artifact.id AND typeof(entry.position) = 'integer';
CREATE INDEX artifact_position ON artifact (collection_id, position, name, kind, id) WHERE position IS NOT NULL;
CREATE INDEX artifact_position_anywhere ON artifact (position, name, kind, id) WHERE position IS NOT NULL;
