-- Every run in one row, newest first: what entered, what came out, what failed and why.
CREATE OR REPLACE VIEW run_summary AS
SELECT
    runs.run_id,
    runs.name,
    runs.source,
    runs.working_ion,
    runs.status,
    runs.started_at,
    runs.finished_at,
    date_diff('millisecond', runs.started_at, runs.finished_at) / 1000.0 AS duration_s,
    runs.n_candidates,
    runs.n_computed,
    runs.n_reused,
    runs.n_failed,
    coalesce(taken.n_materials, 0) AS n_materials,
    coalesce(taken.n_ranked, 0) AS n_ranked,
    coalesce(failed.n_failures, 0) AS n_failures,
    failed.failures_by_reason,
    runs.model_digest,
    runs.settings_digest,
    runs.code_version,
    runs.database_version,
    runs.citation
FROM runs
LEFT JOIN (
    SELECT part.run_id, count(*) AS n_materials, count(result.barrier_at_dim_ev) AS n_ranked
    FROM run_materials AS part
    LEFT JOIN percolation AS result
        ON result.structure_hash = part.structure_hash
        AND result.working_ion = part.working_ion
        AND result.stage_key = part.percolation_stage_key
    GROUP BY part.run_id
) AS taken ON taken.run_id = runs.run_id
LEFT JOIN (
    SELECT
        counted.run_id,
        sum(counted.n)::BIGINT AS n_failures,
        string_agg(counted.reason || ': ' || counted.n, ', ' ORDER BY counted.n DESC, counted.reason)
            AS failures_by_reason
    FROM (SELECT run_id, reason, count(*) AS n FROM run_failures GROUP BY run_id, reason) AS counted
    GROUP BY counted.run_id
) AS failed ON failed.run_id = runs.run_id
ORDER BY runs.started_at DESC, runs.run_id DESC;
COMMENT ON VIEW run_summary IS 'A row a run, newest first: what entered, what came out, what failed and why.';
COMMENT ON COLUMN run_summary.run_id IS 'identifier of the run';
COMMENT ON COLUMN run_summary.name IS 'name of the run, for people';
COMMENT ON COLUMN run_summary.source IS 'where its materials came from: reference, files, ...';
COMMENT ON COLUMN run_summary.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN run_summary.status IS 'running, completed or failed';
COMMENT ON COLUMN run_summary.started_at IS 'when it started, UTC';
COMMENT ON COLUMN run_summary.finished_at IS 'when it finished, UTC; null while it runs or when it was killed';
COMMENT ON COLUMN run_summary.duration_s IS 'how long it took, s';
COMMENT ON COLUMN run_summary.n_candidates IS 'materials that entered the screening';
COMMENT ON COLUMN run_summary.n_computed IS 'materials computed in this run';
COMMENT ON COLUMN run_summary.n_reused IS 'materials whose earlier results were taken over';
COMMENT ON COLUMN run_summary.n_failed IS 'materials without a result';
COMMENT ON COLUMN run_summary.n_materials IS 'materials recorded as part of the run';
COMMENT ON COLUMN run_summary.n_ranked IS 'of these, materials with a barrier';
COMMENT ON COLUMN run_summary.n_failures IS 'failures recorded as part of the run';
COMMENT ON COLUMN run_summary.failures_by_reason IS 'how many failures of each reason, most frequent first';
COMMENT ON COLUMN run_summary.model_digest IS 'digest of the checkpoint that predicted';
COMMENT ON COLUMN run_summary.settings_digest IS 'digest of the settings';
COMMENT ON COLUMN run_summary.code_version IS 'version of lihop that ran';
COMMENT ON COLUMN run_summary.database_version IS 'version of the remote database that its candidates came from; null when there is none';
COMMENT ON COLUMN run_summary.citation IS 'how to cite what its candidates came from';
