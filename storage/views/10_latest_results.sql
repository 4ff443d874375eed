-- The newest run that has results for each structure: what `rankings` and `hop_barriers` show.
-- An aggregate and no window over the materials: what is joined with a few structures then reads only theirs.
CREATE OR REPLACE VIEW latest_results AS
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
    newest.place_with_result IS NOT NULL AS has_percolation
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
        ON result.structure_hash = taken.structure_hash
        AND result.working_ion = taken.working_ion
        AND result.stage_key = taken.percolation_stage_key
    GROUP BY taken.structure_hash, taken.working_ion
) AS newest
    ON newest.structure_hash = part.structure_hash
    AND newest.working_ion = part.working_ion
    -- A later run that failed on a material does not hide the result of an earlier one.
    AND coalesce(newest.place_with_result, newest.place) = ordered.place;
COMMENT ON VIEW latest_results IS 'The newest run that has results for each structure.';
COMMENT ON COLUMN latest_results.structure_hash IS 'digest of the cleaned structure';
COMMENT ON COLUMN latest_results.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN latest_results.material_id IS 'identifier under which it took part';
COMMENT ON COLUMN latest_results.run_id IS 'newest run with a percolation result, or the newest run when none has one';
COMMENT ON COLUMN latest_results.started_at IS 'when that run started, UTC';
COMMENT ON COLUMN latest_results.hops_stage_key IS 'stage_key of its rows in hops';
COMMENT ON COLUMN latest_results.prediction_stage_key IS 'stage_key of its rows in predictions';
COMMENT ON COLUMN latest_results.percolation_stage_key IS 'stage_key of its row in percolation';
COMMENT ON COLUMN latest_results.has_percolation IS 'true when that row exists';
