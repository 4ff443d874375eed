-- Predictions that should be trusted least: those of hops unlike any that the model was trained on.
CREATE OR REPLACE VIEW outside_domain AS
SELECT
    newest.material_id,
    newest.structure_hash,
    newest.working_ion,
    hop.edge_id,
    p.domain_distance,
    coalesce(
        hop.edge_id = CASE result.percolation_dim
            WHEN 1 THEN result.limiting_edge_1d
            WHEN 2 THEN result.limiting_edge_2d
            WHEN 3 THEN result.limiting_edge_3d
        END,
        FALSE
    ) AS is_rate_limiting,
    p.barrier_ev,
    p.lower_ev,
    p.upper_ev,
    hop.distance_ang,
    hop.d_min_ang,
    p.method,
    p.model_digest,
    newest.run_id
FROM latest_results AS newest
JOIN hops AS hop
    ON hop.structure_no = newest.structure_no
    AND hop.working_ion = newest.working_ion
    AND hop.stage_key = newest.hops_stage_key
JOIN predictions AS p
    ON p.structure_no = hop.structure_no
    AND p.working_ion = hop.working_ion
    AND p.i = hop.i
    AND p.j = hop.j
    AND p.ox = hop.ox
    AND p.oy = hop.oy
    AND p.oz = hop.oz
    AND p.vacancy = hop.vacancy
    AND p.stage_key = newest.prediction_stage_key
LEFT JOIN percolation AS result
    ON result.structure_no = newest.structure_no
    AND result.structure_hash = newest.structure_hash
    AND result.working_ion = newest.working_ion
    AND result.stage_key = newest.percolation_stage_key
WHERE NOT p.in_domain
ORDER BY p.domain_distance DESC, newest.material_id, newest.structure_hash, hop.edge_id;
COMMENT ON VIEW outside_domain IS 'Predictions of the newest results that lie outside the training domain, the farthest first.';
COMMENT ON COLUMN outside_domain.material_id IS 'identifier of the material within its source';
COMMENT ON COLUMN outside_domain.structure_hash IS 'digest of the cleaned structure';
COMMENT ON COLUMN outside_domain.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN outside_domain.edge_id IS '{material_id}_{i}_{j}_{ox}_{oy}_{oz}, for people; that of a divacancy hop ends in _v{vacancy}';
COMMENT ON COLUMN outside_domain.domain_distance IS 'distance to the training set over its threshold; above 1 is outside';
COMMENT ON COLUMN outside_domain.is_rate_limiting IS 'true when the barrier in rankings rests on this hop';
COMMENT ON COLUMN outside_domain.barrier_ev IS 'predicted migration barrier, eV';
COMMENT ON COLUMN outside_domain.lower_ev IS 'lower end of the calibrated 90% interval, eV';
COMMENT ON COLUMN outside_domain.upper_ev IS 'upper end of the calibrated 90% interval, eV';
COMMENT ON COLUMN outside_domain.distance_ang IS 'distance between the two sites, angstrom';
COMMENT ON COLUMN outside_domain.d_min_ang IS 'least ion-anion distance along the path, angstrom';
COMMENT ON COLUMN outside_domain.method IS 'cnn, ...';
COMMENT ON COLUMN outside_domain.model_digest IS 'digest of the checkpoint that predicted';
COMMENT ON COLUMN outside_domain.run_id IS 'run whose result is shown';
