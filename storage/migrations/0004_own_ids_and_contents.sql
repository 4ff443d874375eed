-- What a candidate's own source item calls it is kept apart from the identifiers of materials merged into it, so that
-- these can go again when the materials are no longer the same.

ALTER TABLE candidates ADD COLUMN own_ids VARCHAR[];
UPDATE candidates SET own_ids = other_ids WHERE other_ids IS NOT NULL;
COMMENT ON COLUMN candidates.own_ids IS 'those of other_ids that its own source item gives; the rest are of materials merged into it';

-- What an entry holds may hang on the query: each query goes by the content that it was synced with.
ALTER TABLE source_members ADD COLUMN content_hash VARCHAR;
COMMENT ON COLUMN source_members.content_hash IS 'digest of the content that the query was last synced with; null where that is the one of source_entries, or none';
