-- Every barrier that is known for each hop: hop_barriers with all methods in the place of the best one.
CREATE OR REPLACE VIEW hop_methods AS
SELECT
    found.* EXCLUDE (preference, is_newest),
    found.is_newest,
    -- The order of hop_barriers. The identifier adds nothing but that a filter on it is applied first.
    found.preference IS NOT NULL AND row_number() OVER (
        PARTITION BY found.material_id, found.structure_hash, found.working_ion,
            found.i, found.j, found.ox, found.oy, found.oz, found.vacancy
        ORDER BY found.preference NULLS LAST, found.residual_force_ev_ang NULLS LAST, found.method, found.stage_key
    ) = 1 AS is_best
FROM (
    SELECT
        newest.material_id,
        newest.structure_hash,
        newest.working_ion,
        hop.edge_id,
        hop.i,
        hop.j,
        hop.ox,
        hop.oy,
        hop.oz,
        hop.vacancy,
        hop.mechanism,
        hop.distance_ang,
        hop.d_min_ang,
        known.method,
        known.model_digest,
        known.barrier_ev,
        known.lower_ev,
        known.upper_ev,
        known.log_spread,
        known.in_domain,
        known.domain_distance,
        known.barrier_forward_ev,
        known.barrier_reverse_ev,
        known.converged,
        known.residual_force_ev_ang,
        known.stage_key,
        CASE WHEN known.converged IS NULL THEN known.stage_key = newest.prediction_stage_key END AS is_newest,
        CASE
            WHEN known.converged THEN 1
            WHEN known.converged IS FALSE THEN 3
            WHEN known.stage_key = newest.prediction_stage_key THEN 2
        END AS preference
    FROM latest_results AS newest
    JOIN hops AS hop
        ON hop.structure_no = newest.structure_no
        AND hop.working_ion = newest.working_ion
        AND hop.stage_key = newest.hops_stage_key
    LEFT JOIN (
        SELECT
            l.material_id, l.structure_hash, l.working_ion, p.i, p.j, p.ox, p.oy, p.oz, p.vacancy,
            p.method, p.model_digest, p.barrier_ev, p.lower_ev, p.upper_ev, p.log_spread,
            p.in_domain, p.domain_distance,
            NULL::DOUBLE AS barrier_forward_ev, NULL::DOUBLE AS barrier_reverse_ev,
            NULL::BOOLEAN AS converged, NULL::DOUBLE AS residual_force_ev_ang, p.stage_key
        FROM predictions AS p
        JOIN latest_results AS l
            ON l.structure_no = p.structure_no
            AND l.structure_hash = p.structure_hash
            AND l.working_ion = p.working_ion
        UNION ALL
        SELECT
            l.material_id, l.structure_hash, l.working_ion, r.i, r.j, r.ox, r.oy, r.oz, r.vacancy,
            r.method, r.model_digest, r.barrier_ev, NULL, NULL, NULL,
            NULL, NULL,
            r.barrier_forward_ev, r.barrier_reverse_ev,
            r.converged, r.residual_force_ev_ang, r.stage_key
        FROM refinements AS r
        JOIN latest_results AS l ON l.structure_hash = r.structure_hash AND l.working_ion = r.working_ion
    ) AS known
        ON known.material_id = newest.material_id
        AND known.structure_hash = newest.structure_hash
        AND known.working_ion = newest.working_ion
        AND known.i = hop.i
        AND known.j = hop.j
        AND known.ox = hop.ox
        AND known.oy = hop.oy
        AND known.oz = hop.oz
        AND known.vacancy = hop.vacancy
) AS found
ORDER BY
    found.material_id, found.structure_hash, found.distance_ang,
    found.i, found.j, found.ox, found.oy, found.oz, found.vacancy,
    is_best DESC, found.is_newest DESC NULLS FIRST, found.method, found.model_digest, found.stage_key;
COMMENT ON VIEW hop_methods IS 'Every barrier known for the hops of the newest result, a row a hop and method: predictions of all models, and refinements. A hop of which nothing is known has one row, without a method.';
COMMENT ON COLUMN hop_methods.material_id IS 'identifier of the material within its source';
COMMENT ON COLUMN hop_methods.structure_hash IS 'digest of the cleaned structure';
COMMENT ON COLUMN hop_methods.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN hop_methods.edge_id IS '{material_id}_{i}_{j}_{ox}_{oy}_{oz}, for people; that of a divacancy hop ends in _v{vacancy}';
COMMENT ON COLUMN hop_methods.i IS 'initial site, index over all stored sites';
COMMENT ON COLUMN hop_methods.j IS 'final site, index over all stored sites';
COMMENT ON COLUMN hop_methods.ox IS 'periodic image of the final site along a';
COMMENT ON COLUMN hop_methods.oy IS 'periodic image of the final site along b';
COMMENT ON COLUMN hop_methods.oz IS 'periodic image of the final site along c';
COMMENT ON COLUMN hop_methods.vacancy IS 'further vacant site of a divacancy hop and its image, k_kx_ky_kz; empty for an isolated vacancy';
COMMENT ON COLUMN hop_methods.mechanism IS 'isolated: one vacancy; divacancy: the site named by vacancy is vacant too';
COMMENT ON COLUMN hop_methods.distance_ang IS 'distance between the two sites, angstrom';
COMMENT ON COLUMN hop_methods.d_min_ang IS 'least ion-anion distance along the path, angstrom';
COMMENT ON COLUMN hop_methods.method IS 'where the barrier comes from: cnn, chgnet-neb, ...';
COMMENT ON COLUMN hop_methods.model_digest IS 'digest of the checkpoint or potential behind the barrier';
COMMENT ON COLUMN hop_methods.barrier_ev IS 'migration barrier, E(saddle) - min(E_i, E_j), eV';
COMMENT ON COLUMN hop_methods.lower_ev IS 'lower end of the calibrated 90% interval of a prediction, eV; null for a refinement';
COMMENT ON COLUMN hop_methods.upper_ev IS 'upper end of the calibrated 90% interval of a prediction, eV; null for a refinement';
COMMENT ON COLUMN hop_methods.log_spread IS 'standard deviation of log(barrier) over the ensemble; null for a refinement';
COMMENT ON COLUMN hop_methods.in_domain IS 'true when the descriptors lie inside the training domain; null for a refinement';
COMMENT ON COLUMN hop_methods.domain_distance IS 'distance to the training set over its threshold; 1 is the edge; null for a refinement';
COMMENT ON COLUMN hop_methods.barrier_forward_ev IS 'E(saddle) - E_i, eV; null means unknown';
COMMENT ON COLUMN hop_methods.barrier_reverse_ev IS 'E(saddle) - E_j, eV; null means unknown';
COMMENT ON COLUMN hop_methods.converged IS 'whether a refinement converged; null for a prediction';
COMMENT ON COLUMN hop_methods.residual_force_ev_ang IS 'largest force left on the path of a refinement, eV/angstrom; null for a prediction';
COMMENT ON COLUMN hop_methods.stage_key IS 'digest of everything that the barrier was computed from';
COMMENT ON COLUMN hop_methods.is_newest IS 'true when a prediction belongs to the newest result; null for a refinement, which is part of no run';
COMMENT ON COLUMN hop_methods.is_best IS 'true for the one that hop_barriers shows';
