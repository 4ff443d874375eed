-- Why something failed in each run, a row a structure: what `run_results`, `run_changes` and `lihop runs diff` tell.
CREATE OR REPLACE VIEW run_failure_reasons AS
SELECT
    part.run_id,
    part.material_id,
    part.working_ion,
    -- Who failed before there was a structure counts as discharged.
    coalesce(structure.state, 'discharged') AS state,
    why.structure_hash,
    any_value(why.formula) AS formula,
    arg_min(part.reason, part.stage || ' ' || part.reason) AS reason,
    string_agg(DISTINCT part.reason, ', ' ORDER BY part.reason) AS reasons
FROM run_failures AS part
LEFT JOIN failures AS why
    ON why.material_id = part.material_id
    AND why.source = part.source
    AND why.working_ion = part.working_ion
    AND why.stage = part.stage
    AND why.reason = part.reason
    AND why.stage_key = part.stage_key
LEFT JOIN (
    SELECT material_id, structure_hash, working_ion, min(state) AS state
    FROM candidates
    GROUP BY material_id, structure_hash, working_ion
) AS structure
    ON structure.material_id = part.material_id
    AND structure.structure_hash = why.structure_hash
    AND structure.working_ion = why.working_ion
GROUP BY part.run_id, part.material_id, part.working_ion, coalesce(structure.state, 'discharged'), why.structure_hash;
COMMENT ON VIEW run_failure_reasons IS 'Why something failed in each run, a row a structure, or a row a source item of which there was none.';
COMMENT ON COLUMN run_failure_reasons.run_id IS 'identifier of the run';
COMMENT ON COLUMN run_failure_reasons.material_id IS 'identifier of the material within its source';
COMMENT ON COLUMN run_failure_reasons.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN run_failure_reasons.state IS 'discharged: the host as it is; charged: a single working ion kept in the topotactic host';
COMMENT ON COLUMN run_failure_reasons.structure_hash IS 'digest of the cleaned structure; null when it failed before there was one, or the failure was forgotten since';
COMMENT ON COLUMN run_failure_reasons.formula IS 'reduced formula; null when unknown';
COMMENT ON COLUMN run_failure_reasons.reason IS 'the reason of the first stage that failed, in one word';
COMMENT ON COLUMN run_failure_reasons.reasons IS 'all reasons, comma-separated';
