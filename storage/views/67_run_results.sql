-- What every run found for every material that took part in it: rankings with all runs in the place of the newest.
CREATE OR REPLACE VIEW run_results AS
SELECT
    found.run_id,
    found.started_at,
    found.source,
    found.working_ion,
    found.material_id,
    found.formula,
    found.state,
    found.structure_hash,
    found.percolation_dim,
    found.barrier_at_dim_ev,
    found.lower_ev,
    found.upper_ev,
    found.in_domain,
    found.method,
    found.model_digest,
    CASE WHEN found.barrier_at_dim_ev IS NULL THEN coalesce(
        failed.reason,
        CASE
            WHEN found.n_hops = 0 THEN 'no_hops'
            WHEN found.n_hops > 0 THEN 'no_percolation'
            ELSE 'not_computed'
        END
    ) END AS reason,
    failed.reasons AS failure_reasons,
    found.percolation_stage_key
FROM run_findings AS found
LEFT JOIN run_failure_reasons AS failed
    ON failed.run_id = found.run_id
    AND failed.material_id = found.material_id
    AND failed.working_ion = found.working_ion
    AND failed.structure_hash = found.structure_hash;
COMMENT ON VIEW run_results IS 'What every run has for every material that took part in it.';
COMMENT ON COLUMN run_results.run_id IS 'identifier of the run';
COMMENT ON COLUMN run_results.started_at IS 'when it started, UTC';
COMMENT ON COLUMN run_results.source IS 'where its materials came from: reference, files, ...';
COMMENT ON COLUMN run_results.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN run_results.material_id IS 'identifier under which it took part';
COMMENT ON COLUMN run_results.formula IS 'reduced formula';
COMMENT ON COLUMN run_results.state IS 'discharged: the host as it is; charged: a single working ion kept in the topotactic host';
COMMENT ON COLUMN run_results.structure_hash IS 'digest of the cleaned structure';
COMMENT ON COLUMN run_results.percolation_dim IS 'dimensions of percolation; null when there is no result';
COMMENT ON COLUMN run_results.barrier_at_dim_ev IS 'the minimax barrier at percolation_dim, eV; null when there is none';
COMMENT ON COLUMN run_results.lower_ev IS 'lower end of its 90% interval, eV';
COMMENT ON COLUMN run_results.upper_ev IS 'upper end of its 90% interval, eV';
COMMENT ON COLUMN run_results.in_domain IS 'true when the rate-limiting hop at percolation_dim lies in the training domain';
COMMENT ON COLUMN run_results.method IS 'where the barriers of the hops come from: cnn, ...';
COMMENT ON COLUMN run_results.model_digest IS 'digest of the checkpoint behind the barriers';
COMMENT ON COLUMN run_results.reason IS 'why there is no barrier, in one word; null when there is one';
COMMENT ON COLUMN run_results.failure_reasons IS 'all that failed of it in the run, in words to group by; null when nothing did';
COMMENT ON COLUMN run_results.percolation_stage_key IS 'stage_key of its row in percolation';
