-- A number for each structure, in the order of recording, that hops and predictions carry: DuckDB keeps the least and
-- greatest of each row group, and so passes over all groups but the few that hold what is joined by it
-- (docs/decisions/0012-structures-have-numbers.md). What is asked by a digest alone is found by a small index.
CREATE TABLE structure_numbers (
    structure_hash VARCHAR PRIMARY KEY,
    structure_no BIGINT NOT NULL CHECK (structure_no >= 1)
);
COMMENT ON TABLE structure_numbers IS 'A number for each structure that has hops or predictions, counted as they were recorded.';
COMMENT ON COLUMN structure_numbers.structure_hash IS 'digest of the cleaned structure';
COMMENT ON COLUMN structure_numbers.structure_no IS 'number of the structure in this file alone: another file may give it another one';
INSERT INTO structure_numbers
SELECT structure_hash, row_number() OVER (ORDER BY of_hops, place) AS structure_no
FROM (
    SELECT structure_hash, min(of_hops) AS of_hops, arg_min(place, (of_hops, place)) AS place
    FROM (
        SELECT structure_hash, 0 AS of_hops, rowid AS place FROM hops
        UNION ALL
        SELECT structure_hash, 1, rowid FROM predictions
    )
    GROUP BY structure_hash
);

ALTER TABLE hops ADD COLUMN structure_no BIGINT;
UPDATE hops SET structure_no = known.structure_no
FROM structure_numbers AS known
WHERE known.structure_hash = hops.structure_hash;
COMMENT ON COLUMN hops.structure_no IS 'number of the structure in this file, by which hops are found fast; see structure_numbers';

ALTER TABLE predictions ADD COLUMN structure_no BIGINT;
UPDATE predictions SET structure_no = known.structure_no
FROM structure_numbers AS known
WHERE known.structure_hash = predictions.structure_hash;
COMMENT ON COLUMN predictions.structure_no IS 'number of the structure in this file, by which predictions are found fast; see structure_numbers';

CREATE INDEX hops_by_structure ON hops (structure_hash);
CREATE INDEX predictions_by_structure ON predictions (structure_hash);
CREATE INDEX candidates_by_structure ON candidates (structure_hash);
CREATE INDEX candidates_by_material ON candidates (material_id);
CREATE INDEX percolation_by_structure ON percolation (structure_hash);
CREATE INDEX run_materials_by_structure ON run_materials (structure_hash);
