-- The best barrier known for each hop of the newest result: a converged refinement before a prediction.
CREATE OR REPLACE VIEW hop_barriers AS
SELECT
    newest.structure_hash,
    newest.working_ion,
    newest.material_id,
    hop.edge_id,
    hop.i,
    hop.j,
    hop.ox,
    hop.oy,
    hop.oz,
    hop.vacancy,
    hop.distance_ang,
    hop.multiplicity,
    hop.direction_symmetric,
    hop.mechanism,
    hop.blocked_by,
    hop.path_kind,
    hop.d_min_ang,
    hop.collapsed,
    hop.path_converged,
    hop.bvse_barrier_ev,
    hop.bvse_site_energy_difference_ev,
    best.method,
    best.model_digest,
    best.barrier_ev,
    best.lower_ev,
    best.upper_ev,
    best.log_spread,
    best.in_domain,
    best.barrier_forward_ev,
    best.barrier_reverse_ev,
    best.converged,
    -- A refinement speaks for its own path, also when it does not tell; a prediction for the hop's.
    CASE WHEN best.converged IS NULL THEN hop.residual_force_ev_ang ELSE best.residual_force_ev_ang END
        AS residual_force_ev_ang
FROM latest_results AS newest
JOIN hops AS hop
    ON hop.structure_no = newest.structure_no
    AND hop.working_ion = newest.working_ion
    AND hop.stage_key = newest.hops_stage_key
LEFT JOIN (
    SELECT
        either.*,
        -- Identifier and digest say the same here; with either of them, what is asked of one is worked out for it alone.
        row_number() OVER (
            PARTITION BY either.material_id, either.structure_hash, either.working_ion,
                either.i, either.j, either.ox, either.oy, either.oz, either.vacancy
            ORDER BY either.preference, either.residual_force_ev_ang NULLS LAST, either.method, either.stage_key
        ) AS best_first
    FROM (
        SELECT
            l.material_id, l.structure_hash, l.working_ion, r.i, r.j, r.ox, r.oy, r.oz, r.vacancy,
            r.method, r.model_digest, r.barrier_ev,
            NULL::DOUBLE AS lower_ev, NULL::DOUBLE AS upper_ev, NULL::DOUBLE AS log_spread,
            NULL::BOOLEAN AS in_domain,
            r.barrier_forward_ev, r.barrier_reverse_ev, r.converged, r.residual_force_ev_ang,
            CASE WHEN r.converged THEN 1 ELSE 3 END AS preference,
            r.stage_key
        FROM refinements AS r
        JOIN latest_results AS l
            ON l.structure_hash = r.structure_hash
            AND l.working_ion = r.working_ion
        UNION ALL
        SELECT
            l.material_id, l.structure_hash, l.working_ion, p.i, p.j, p.ox, p.oy, p.oz, p.vacancy,
            p.method, p.model_digest, p.barrier_ev,
            p.lower_ev, p.upper_ev, p.log_spread,
            p.in_domain,
            NULL::DOUBLE, NULL::DOUBLE, NULL::BOOLEAN, NULL::DOUBLE,
            2 AS preference,
            p.stage_key
        FROM predictions AS p
        JOIN latest_results AS l
            ON l.structure_no = p.structure_no
            AND l.working_ion = p.working_ion
            AND l.prediction_stage_key = p.stage_key
    ) AS either
) AS best
    ON best.best_first = 1
    AND best.material_id = newest.material_id
    AND best.structure_hash = newest.structure_hash
    AND best.working_ion = newest.working_ion
    AND best.i = hop.i
    AND best.j = hop.j
    AND best.ox = hop.ox
    AND best.oy = hop.oy
    AND best.oz = hop.oz
    AND best.vacancy = hop.vacancy
ORDER BY newest.material_id, newest.structure_hash, hop.distance_ang, hop.i, hop.j, hop.ox, hop.oy, hop.oz, hop.vacancy;
COMMENT ON VIEW hop_barriers IS 'A row a hop of the newest result, with the best barrier known for it.';
COMMENT ON COLUMN hop_barriers.structure_hash IS 'digest of the cleaned structure that the hop lies in';
COMMENT ON COLUMN hop_barriers.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN hop_barriers.material_id IS 'identifier of the material within its source';
COMMENT ON COLUMN hop_barriers.edge_id IS '{material_id}_{i}_{j}_{ox}_{oy}_{oz}, for people; that of a divacancy hop ends in _v{vacancy}';
COMMENT ON COLUMN hop_barriers.i IS 'initial site, index over all stored sites';
COMMENT ON COLUMN hop_barriers.j IS 'final site, index over all stored sites';
COMMENT ON COLUMN hop_barriers.ox IS 'periodic image of the final site along a';
COMMENT ON COLUMN hop_barriers.oy IS 'periodic image of the final site along b';
COMMENT ON COLUMN hop_barriers.oz IS 'periodic image of the final site along c';
COMMENT ON COLUMN hop_barriers.vacancy IS 'further vacant site of a divacancy hop and its image, k_kx_ky_kz; empty for an isolated vacancy';
COMMENT ON COLUMN hop_barriers.distance_ang IS 'distance between the two sites, angstrom';
COMMENT ON COLUMN hop_barriers.multiplicity IS 'symmetry-equivalent undirected hops in the stored cell';
COMMENT ON COLUMN hop_barriers.direction_symmetric IS 'true when a symmetry operation maps the hop onto its reverse';
COMMENT ON COLUMN hop_barriers.mechanism IS 'isolated: one vacancy; divacancy: the site named by vacancy is vacant too';
COMMENT ON COLUMN hop_barriers.blocked_by IS 'host_atom or network_site when the straight path runs through one';
COMMENT ON COLUMN hop_barriers.path_kind IS 'the path that descriptors were taken along: straight, bvse, bvse_fixed_ends';
COMMENT ON COLUMN hop_barriers.d_min_ang IS 'least ion-anion distance along the path, angstrom';
COMMENT ON COLUMN hop_barriers.collapsed IS 'true when an end left its site while the path was relaxed';
COMMENT ON COLUMN hop_barriers.path_converged IS 'true when that path met its force criterion; null when none was relaxed';
COMMENT ON COLUMN hop_barriers.bvse_barrier_ev IS 'E(saddle) - min(E_i, E_j) of the bond-valence site energy, eV; null means unknown';
COMMENT ON COLUMN hop_barriers.bvse_site_energy_difference_ev IS 'E_j - E_i of the bond-valence site energy, eV';
COMMENT ON COLUMN hop_barriers.method IS 'where the barrier comes from; a converged refinement before a prediction';
COMMENT ON COLUMN hop_barriers.model_digest IS 'digest of the checkpoint or potential behind the barrier';
COMMENT ON COLUMN hop_barriers.barrier_ev IS 'migration barrier, E(saddle) - min(E_i, E_j), eV; null when nothing is known';
COMMENT ON COLUMN hop_barriers.lower_ev IS 'lower end of the calibrated 90% interval of a prediction, eV';
COMMENT ON COLUMN hop_barriers.upper_ev IS 'upper end of the calibrated 90% interval of a prediction, eV';
COMMENT ON COLUMN hop_barriers.log_spread IS 'standard deviation of log(barrier) over the ensemble';
COMMENT ON COLUMN hop_barriers.in_domain IS 'true when the descriptors lie inside the training domain';
COMMENT ON COLUMN hop_barriers.barrier_forward_ev IS 'E(saddle) - E_i, eV; null means unknown';
COMMENT ON COLUMN hop_barriers.barrier_reverse_ev IS 'E(saddle) - E_j, eV; null means unknown';
COMMENT ON COLUMN hop_barriers.converged IS 'whether a refinement converged; null for a prediction';
COMMENT ON COLUMN hop_barriers.residual_force_ev_ang IS 'largest force left on the path behind the barrier, eV/angstrom: the refined one of a refinement, else the one of path_kind';
