-- The newest run that has results for each structure: what `rankings` and `hop_barriers` show.
CREATE OR REPLACE VIEW latest_results AS
SELECT
    taken.structure_hash,
    taken.working_ion,
    taken.material_id,
    taken.run_id,
    taken.started_at,
    taken.hops_stage_key,
    taken.prediction_stage_key,
    taken.percolation_stage_key,
    taken.has_percolation
FROM (
    SELECT
        part.structure_hash,
        part.working_ion,
        part.material_id,
        part.run_id,
        runs.started_at,
        part.hops_stage_key,
        part.prediction_stage_key,
        part.percolation_stage_key,
        result.stage_key IS NOT NULL AS has_percolation,
        -- A later run that failed on a material does not hide the result of an earlier one.
        row_number() OVER (
            PARTITION BY part.structure_hash, part.working_ion
            ORDER BY result.stage_key IS NOT NULL DESC, runs.started_at DESC, runs.run_id DESC
        ) AS newest_first
    FROM run_materials AS part
    JOIN runs ON runs.run_id = part.run_id
    LEFT JOIN percolation AS result
        ON result.structure_hash = part.structure_hash
        AND result.working_ion = part.working_ion
        AND result.stage_key = part.percolation_stage_key
) AS taken
WHERE taken.newest_first = 1;
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
