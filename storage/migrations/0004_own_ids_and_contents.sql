-- What a candidate's own source item calls it is kept apart from the identifiers of materials merged into it, so that
-- these can go again when the materials are no longer the same.

ALTER TABLE candidates ADD COLUMN own_ids VARCHAR[];
UPDATE candidates SET own_ids = other_ids;
COMMENT ON COLUMN candidates.own_ids IS 'those of other_ids that its own source item gives; the rest are of materials merged into it';
