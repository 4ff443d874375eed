-- What failed and why, a row a run, stage and reason; `failures` has each of them with its message and traceback.
CREATE OR REPLACE VIEW failure_summary AS
SELECT
    part.run_id,
    runs.started_at,
    part.source,
    part.working_ion,
    part.stage,
    part.reason,
    count(*) AS n_failures,
    count(DISTINCT part.material_id) AS n_materials,
    count(*) - count(known.message) AS n_computed_since,
    array_to_string(min(DISTINCT part.material_id, 3), ', ') AS example_ids,
    arg_min(known.message, part.material_id) AS example_message
FROM run_failures AS part
JOIN runs ON runs.run_id = part.run_id
-- What was computed again and came out well is no longer in `failures`.
LEFT JOIN failures AS known
    ON known.material_id = part.material_id
    AND known.source = part.source
    AND known.working_ion = part.working_ion
    AND known.stage = part.stage
    AND known.reason = part.reason
    AND known.stage_key = part.stage_key
GROUP BY part.run_id, runs.started_at, part.source, part.working_ion, part.stage, part.reason
ORDER BY runs.started_at DESC, part.run_id DESC, n_failures DESC, part.stage, part.reason;
COMMENT ON VIEW failure_summary IS 'What failed in a run and why, a row a stage and reason, the newest run first.';
COMMENT ON COLUMN failure_summary.run_id IS 'the run';
COMMENT ON COLUMN failure_summary.started_at IS 'when it started, UTC';
COMMENT ON COLUMN failure_summary.source IS 'reference, files, ...';
COMMENT ON COLUMN failure_summary.working_ion IS 'element symbol of the ion that was asked for';
COMMENT ON COLUMN failure_summary.stage IS 'stage at which it failed: candidates, hops, descriptors, prediction, percolation';
COMMENT ON COLUMN failure_summary.reason IS 'why, in one word to group by';
COMMENT ON COLUMN failure_summary.n_failures IS 'failures of that stage and reason in that run';
COMMENT ON COLUMN failure_summary.n_materials IS 'materials that they are of';
COMMENT ON COLUMN failure_summary.n_computed_since IS 'of these failures, those that a later run took back: `failures` no longer has them';
COMMENT ON COLUMN failure_summary.example_ids IS 'the first three material_id, comma-separated';
COMMENT ON COLUMN failure_summary.example_message IS 'why, in a sentence, of the first of them';
