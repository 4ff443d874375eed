-- The newest run that has results for each structure: what `rankings` and `hop_barriers` show, and latest_results keeps.
-- An aggregate and no window over the materials: what is joined with a few structures then reads only theirs.
CREATE OR REPLACE VIEW live_results AS
WITH ordered AS NOT MATERIALIZED (
    SELECT run_id, started_at, row_number() OVER (ORDER BY started_at, run_id) AS place
    FROM runs
)
SELECT
    part.structure_hash,
    part.working_ion,
    part.material_id,
    part.run_id,
    ordered.started_at,
    part.hops_stage_key,
    part.prediction_stage_key,
    part.percolation_stage_key,
    newest.place_with_result IS NOT NULL AS has_percolation,
    part.structure_no
FROM run_materials AS part
JOIN ordered ON ordered.run_id = part.run_id
JOIN (
    SELECT
        taken.structure_hash,
        taken.working_ion,
        max(ordered.place) AS place,
        max(CASE WHEN result.stage_key IS NOT NULL THEN ordered.place END) AS place_with_result
    FROM run_materials AS taken
    JOIN ordered ON ordered.run_id = taken.run_id
    LEFT JOIN percolation AS result
        ON result.structure_no = taken.structure_no
        AND result.structure_hash = taken.structure_hash
        AND result.working_ion = taken.working_ion
        AND result.stage_key = taken.percolation_stage_key
    GROUP BY taken.structure_hash, taken.working_ion
) AS newest
    ON newest.structure_hash = part.structure_hash
    AND newest.working_ion = part.working_ion
    -- A later run that failed on a material does not hide the result of an earlier one.
    AND coalesce(newest.place_with_result, newest.place) = ordered.place
ORDER BY part.structure_no, part.structure_hash, part.working_ion;
COMMENT ON VIEW live_results IS 'What latest_results will say once it is published; slow where there are many materials.';
