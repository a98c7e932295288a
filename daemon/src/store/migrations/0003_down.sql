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
