-- What `run_results` says without the reasons: who asks for no reason then waits for none to be looked up.
CREATE OR REPLACE VIEW run_findings AS
SELECT
    part.run_id,
    runs.started_at,
    runs.source,
    part.working_ion,
    part.material_id,
    structure.formula,
    structure.state,
    part.structure_hash,
    result.n_hops,
    result.percolation_dim,
    result.barrier_at_dim_ev,
    result.lower_ev,
    result.upper_ev,
    result.in_domain,
    result.method,
    result.model_digest,
    part.percolation_stage_key
FROM run_materials AS part
-- As an equality this would filter what is read of run_materials once more, and DuckDB uses an index for one filter only.
JOIN runs ON runs.run_id IS NOT DISTINCT FROM part.run_id
LEFT JOIN percolation AS result
    ON result.structure_no = part.structure_no
    AND result.structure_hash = part.structure_hash
    AND result.working_ion = part.working_ion
    AND result.stage_key = part.percolation_stage_key
LEFT JOIN (
    -- Several sources may have a structure under one identifier: it has one formula and one state.
    SELECT material_id, structure_hash, working_ion, min(formula) AS formula, min(state) AS state
    FROM candidates
    GROUP BY material_id, structure_hash, working_ion
) AS structure
    ON structure.material_id = part.material_id
    AND structure.structure_hash = part.structure_hash
    AND structure.working_ion = part.working_ion;
COMMENT ON VIEW run_findings IS 'What every run has for every material that took part in it, without why a barrier is missing: see run_results.';
COMMENT ON COLUMN run_findings.run_id IS 'identifier of the run';
COMMENT ON COLUMN run_findings.started_at IS 'when it started, UTC';
COMMENT ON COLUMN run_findings.source IS 'where its materials came from: reference, files, ...';
COMMENT ON COLUMN run_findings.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN run_findings.material_id IS 'identifier under which it took part';
COMMENT ON COLUMN run_findings.formula IS 'reduced formula';
COMMENT ON COLUMN run_findings.state IS 'discharged: the host as it is; charged: a single working ion kept in the topotactic host';
COMMENT ON COLUMN run_findings.structure_hash IS 'digest of the cleaned structure';
COMMENT ON COLUMN run_findings.n_hops IS 'symmetry-distinct hops in the graph; null when there is no result';
COMMENT ON COLUMN run_findings.percolation_dim IS 'dimensions of percolation; null when there is no result';
COMMENT ON COLUMN run_findings.barrier_at_dim_ev IS 'the minimax barrier at percolation_dim, eV; null when there is none';
COMMENT ON COLUMN run_findings.lower_ev IS 'lower end of its 90% interval, eV';
COMMENT ON COLUMN run_findings.upper_ev IS 'upper end of its 90% interval, eV';
COMMENT ON COLUMN run_findings.in_domain IS 'true when the rate-limiting hop at percolation_dim lies in the training domain';
COMMENT ON COLUMN run_findings.method IS 'where the barriers of the hops come from: cnn, ...';
COMMENT ON COLUMN run_findings.model_digest IS 'digest of the checkpoint behind the barriers';
COMMENT ON COLUMN run_findings.percolation_stage_key IS 'stage_key of its row in percolation';
