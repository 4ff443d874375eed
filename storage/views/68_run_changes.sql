-- What a run found otherwise than the run before it: each material beside its previous result.
CREATE OR REPLACE VIEW run_changes AS
SELECT
    compared.run_id,
    compared.previous_run_id,
    compared.source,
    compared.working_ion,
    compared.material_id,
    compared.formula,
    compared.state,
    compared.status,
    compared.percolation_dim_before,
    compared.percolation_dim_after,
    compared.barrier_before_ev,
    compared.barrier_after_ev,
    compared.barrier_after_ev - compared.barrier_before_ev AS difference_ev,
    compared.model_digest_before,
    compared.model_digest_after,
    compared.structure_hash_before,
    compared.structure_hash_after,
    compared.failure_reasons
FROM (
    SELECT
        now.run_id,
        before.run_id AS previous_run_id,
        now.source,
        now.working_ion,
        now.material_id,
        now.formula,
        now.state,
        CASE
            WHEN before.run_id IS NULL THEN 'new'
            WHEN now.structure_hash <> before.held.structure_hash
                OR now.percolation_dim IS DISTINCT FROM before.held.percolation_dim
                OR (now.barrier_at_dim_ev IS NULL) <> (before.held.barrier_at_dim_ev IS NULL)
                -- As storage/history.py has it: a network's last digits depend on the batch that it sees.
                OR abs(now.barrier_at_dim_ev - before.held.barrier_at_dim_ev) > 1e-4
                THEN 'changed'
            ELSE 'unchanged'
        END AS status,
        before.held.percolation_dim AS percolation_dim_before,
        now.percolation_dim AS percolation_dim_after,
        before.held.barrier_at_dim_ev AS barrier_before_ev,
        now.barrier_at_dim_ev AS barrier_after_ev,
        before.held.model_digest AS model_digest_before,
        now.model_digest AS model_digest_after,
        before.held.structure_hash AS structure_hash_before,
        now.structure_hash AS structure_hash_after,
        now.failure_reasons
    FROM run_results AS now
    ASOF LEFT JOIN (
        -- A run that was cut off and went on after a file had changed has a material as both structures: of these
        -- always the same one is compared with.
        SELECT
            run_id, started_at, source, working_ion, material_id, state,
            arg_min(
                {
                    'structure_hash': structure_hash, 'percolation_dim': percolation_dim,
                    'barrier_at_dim_ev': barrier_at_dim_ev, 'model_digest': model_digest
                },
                structure_hash
            ) AS held
        FROM run_findings
        GROUP BY run_id, started_at, source, working_ion, material_id, state
    ) AS before
        ON before.source = now.source
        AND before.working_ion = now.working_ion
        AND before.material_id = now.material_id
        AND before.state IS NOT DISTINCT FROM now.state
        AND before.started_at < now.started_at
    UNION ALL
    SELECT
        later.run_id,
        later.previous_run_id,
        later.source,
        later.working_ion,
        before.material_id,
        before.formula,
        before.state,
        'gone' AS status,
        before.percolation_dim,
        NULL,
        before.barrier_at_dim_ev,
        NULL,
        before.model_digest,
        NULL,
        before.structure_hash,
        NULL,
        failed.reasons
    FROM (
        SELECT
            run_id, source, working_ion,
            lag(run_id) OVER (PARTITION BY source, working_ion ORDER BY started_at, run_id) AS previous_run_id
        FROM runs
        -- A run that was killed half-way has not lost what it did not come to.
        WHERE status = 'completed'
    ) AS later
    JOIN run_findings AS before ON before.run_id = later.previous_run_id
    -- A join, and no NOT EXISTS: what is asked of one material is then looked up of it alone.
    LEFT JOIN run_findings AS now
        ON now.run_id = later.run_id
        AND now.working_ion = later.working_ion
        AND now.material_id = before.material_id
        AND now.state IS NOT DISTINCT FROM before.state
    -- It may have failed before there was a structure that could take part.
    LEFT JOIN (
        SELECT
            run_id, material_id, working_ion, state,
            string_agg(DISTINCT reasons, ', ' ORDER BY reasons) AS reasons
        FROM run_failure_reasons
        GROUP BY run_id, material_id, working_ion, state
    ) AS failed
        ON failed.run_id = later.run_id
        AND failed.working_ion = later.working_ion
        AND failed.material_id = before.material_id
        AND failed.state = coalesce(before.state, 'discharged')
    WHERE now.run_id IS NULL
) AS compared
ORDER BY
    compared.run_id DESC, compared.status, abs(difference_ev) DESC NULLS LAST, compared.material_id, compared.state;
COMMENT ON VIEW run_changes IS 'Each material of a run beside its previous result, that of the newest earlier run of the same source and working ion which had it; and what the completed run before had and a completed run has not.';
COMMENT ON COLUMN run_changes.run_id IS 'the run';
COMMENT ON COLUMN run_changes.previous_run_id IS 'the earlier run that it is compared with; null for a new material';
COMMENT ON COLUMN run_changes.source IS 'where the materials of both came from: reference, files, ...';
COMMENT ON COLUMN run_changes.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN run_changes.material_id IS 'identifier of the material within its source';
COMMENT ON COLUMN run_changes.formula IS 'reduced formula';
COMMENT ON COLUMN run_changes.state IS 'discharged: the host as it is; charged: a single working ion kept in the topotactic host';
COMMENT ON COLUMN run_changes.status IS 'new: no earlier run had it; gone: the completed run before had it; changed: structure or dimension is another, or the barrier by more than 0.0001 eV; unchanged';
COMMENT ON COLUMN run_changes.percolation_dim_before IS 'dimensions of percolation in the earlier run';
COMMENT ON COLUMN run_changes.percolation_dim_after IS 'dimensions of percolation in the run';
COMMENT ON COLUMN run_changes.barrier_before_ev IS 'the minimax barrier at percolation_dim_before, eV';
COMMENT ON COLUMN run_changes.barrier_after_ev IS 'the minimax barrier at percolation_dim_after, eV';
COMMENT ON COLUMN run_changes.difference_ev IS 'barrier_after_ev - barrier_before_ev, eV; null when one is missing';
COMMENT ON COLUMN run_changes.model_digest_before IS 'digest of the checkpoint behind barrier_before_ev';
COMMENT ON COLUMN run_changes.model_digest_after IS 'digest of the checkpoint behind barrier_after_ev';
COMMENT ON COLUMN run_changes.structure_hash_before IS 'digest of the structure in the earlier run';
COMMENT ON COLUMN run_changes.structure_hash_after IS 'digest of the structure in the run';
COMMENT ON COLUMN run_changes.failure_reasons IS 'why it failed in the run in that state, in words to group by; null when it did not';
