-- Where two methods, or two models, say different things of one hop; the largest difference first.
CREATE OR REPLACE VIEW method_disagreements AS
WITH told AS NOT MATERIALIZED (
    SELECT numbered.*
    FROM (
        SELECT
            hop_methods.*,
            -- Predictions go before refinements, so that a difference is refined minus predicted.
            (converged IS NOT NULL)::INTEGER || method || ' ' || coalesce(model_digest, '') AS told_by,
            row_number() OVER (
                PARTITION BY material_id, structure_hash, working_ion, i, j, ox, oy, oz, vacancy,
                    method, model_digest
                ORDER BY is_best DESC, is_newest DESC NULLS LAST, converged DESC, stage_key
            ) AS one_a_model
        FROM hop_methods
        WHERE method IS NOT NULL
    ) AS numbered
    WHERE numbered.one_a_model = 1
)
SELECT
    a.material_id,
    a.structure_hash,
    a.working_ion,
    a.edge_id,
    a.distance_ang,
    b.barrier_ev - a.barrier_ev AS difference_ev,
    b.barrier_ev / nullif(a.barrier_ev, 0) AS ratio,
    a.method AS method_a,
    a.model_digest AS model_digest_a,
    a.barrier_ev AS barrier_a_ev,
    a.lower_ev AS lower_a_ev,
    a.upper_ev AS upper_a_ev,
    a.in_domain AS in_domain_a,
    a.converged AS converged_a,
    b.method AS method_b,
    b.model_digest AS model_digest_b,
    b.barrier_ev AS barrier_b_ev,
    b.lower_ev AS lower_b_ev,
    b.upper_ev AS upper_b_ev,
    b.in_domain AS in_domain_b,
    b.converged AS converged_b,
    b.barrier_ev BETWEEN a.lower_ev AND a.upper_ev AS b_within_a
FROM told AS a
JOIN told AS b
    ON b.material_id = a.material_id
    AND b.structure_hash = a.structure_hash
    AND b.working_ion = a.working_ion
    AND b.i = a.i
    AND b.j = a.j
    AND b.ox = a.ox
    AND b.oy = a.oy
    AND b.oz = a.oz
    AND b.vacancy = a.vacancy
    AND b.told_by > a.told_by
WHERE a.barrier_ev <> b.barrier_ev
ORDER BY abs(difference_ev) DESC, a.material_id, a.edge_id, a.told_by, b.told_by;
COMMENT ON VIEW method_disagreements IS 'Pairs of methods, or of models, that say different things of one hop, the largest difference first. Predictions stand on the side a, refinements on the side b; of one model its newest word counts.';
COMMENT ON COLUMN method_disagreements.material_id IS 'identifier of the material within its source';
COMMENT ON COLUMN method_disagreements.structure_hash IS 'digest of the cleaned structure';
COMMENT ON COLUMN method_disagreements.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN method_disagreements.edge_id IS '{material_id}_{i}_{j}_{ox}_{oy}_{oz}, for people; that of a divacancy hop ends in _v{vacancy}';
COMMENT ON COLUMN method_disagreements.distance_ang IS 'distance between the two sites, angstrom';
COMMENT ON COLUMN method_disagreements.difference_ev IS 'barrier_b_ev - barrier_a_ev, eV';
COMMENT ON COLUMN method_disagreements.ratio IS 'barrier_b_ev / barrier_a_ev; null when the latter is 0';
COMMENT ON COLUMN method_disagreements.method_a IS 'where the barrier comes from, side a';
COMMENT ON COLUMN method_disagreements.model_digest_a IS 'digest of the checkpoint or potential, side a';
COMMENT ON COLUMN method_disagreements.barrier_a_ev IS 'migration barrier, side a, eV';
COMMENT ON COLUMN method_disagreements.lower_a_ev IS 'lower end of the 90% interval, side a, eV; null for a refinement';
COMMENT ON COLUMN method_disagreements.upper_a_ev IS 'upper end of the 90% interval, side a, eV; null for a refinement';
COMMENT ON COLUMN method_disagreements.in_domain_a IS 'true when the descriptors lie inside the training domain, side a; null for a refinement';
COMMENT ON COLUMN method_disagreements.converged_a IS 'whether a refinement converged, side a; null for a prediction';
COMMENT ON COLUMN method_disagreements.method_b IS 'where the barrier comes from, side b';
COMMENT ON COLUMN method_disagreements.model_digest_b IS 'digest of the checkpoint or potential, side b';
COMMENT ON COLUMN method_disagreements.barrier_b_ev IS 'migration barrier, side b, eV';
COMMENT ON COLUMN method_disagreements.lower_b_ev IS 'lower end of the 90% interval, side b, eV; null for a refinement';
COMMENT ON COLUMN method_disagreements.upper_b_ev IS 'upper end of the 90% interval, side b, eV; null for a refinement';
COMMENT ON COLUMN method_disagreements.in_domain_b IS 'true when the descriptors lie inside the training domain, side b; null for a refinement';
COMMENT ON COLUMN method_disagreements.converged_b IS 'whether a refinement converged, side b; null for a prediction';
COMMENT ON COLUMN method_disagreements.b_within_a IS 'true when barrier_b_ev lies within the 90% interval of side a; null when that has none';
