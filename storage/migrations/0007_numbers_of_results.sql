-- Percolation results and what took part in runs carry the number of their structure too, so that a join from one to
-- the other passes over the row groups that hold neither (docs/decisions/0012-structures-have-numbers.md). A column
-- can only be added where there is no index.
DROP INDEX percolation_by_structure;
DROP INDEX run_materials_by_structure;

INSERT INTO structure_numbers
SELECT structure_hash, last + row_number() OVER (ORDER BY place) AS structure_no
FROM (
    SELECT structure_hash, min(place) AS place
    FROM (
        SELECT structure_hash, rowid AS place FROM percolation
        UNION ALL
        SELECT structure_hash, rowid FROM run_materials
    )
    GROUP BY structure_hash
)
ANTI JOIN structure_numbers USING (structure_hash)
CROSS JOIN (SELECT coalesce(max(structure_no), 0) AS last FROM structure_numbers);
COMMENT ON TABLE structure_numbers IS 'A number for each structure that took part in a run or has results, counted as they were recorded.';

ALTER TABLE percolation ADD COLUMN structure_no BIGINT;
UPDATE percolation SET structure_no = known.structure_no
FROM structure_numbers AS known
WHERE known.structure_hash = percolation.structure_hash;
COMMENT ON COLUMN percolation.structure_no IS 'number of the structure in this file, by which results are found fast; see structure_numbers';

ALTER TABLE run_materials ADD COLUMN structure_no BIGINT;
UPDATE run_materials SET structure_no = known.structure_no
FROM structure_numbers AS known
WHERE known.structure_hash = run_materials.structure_hash;
COMMENT ON COLUMN run_materials.structure_no IS 'number of the structure in this file, by which results are found fast; see structure_numbers';

CREATE INDEX percolation_by_structure ON percolation (structure_hash);
CREATE INDEX run_materials_by_structure ON run_materials (structure_hash);
CREATE INDEX run_materials_by_material ON run_materials (material_id);
