-- The ranking as it stands now: a row a material, fastest first, with its newest result or the reason why it has
-- none. Working it out takes seconds where there are many materials, so that publishing does it once for everybody.
CREATE OR REPLACE VIEW live_rankings AS
SELECT
    CASE WHEN shown.barrier_at_dim_ev IS NOT NULL
        THEN row_number() OVER (
            ORDER BY shown.barrier_at_dim_ev ASC NULLS LAST, shown.material_id, shown.structure_hash
        )
    END AS rank,
    shown.* EXCLUDE (one_a_material)
FROM (
    SELECT
        c.formula,
        c.name,
        c.material_id,
        c.source,
        c.working_ion,
        c.state,
        p.percolation_dim,
        p.barrier_at_dim_ev,
        p.lower_ev,
        p.upper_ev,
        p.barrier_1d_ev,
        p.barrier_2d_ev,
        p.barrier_3d_ev,
        p.direction_conventional,
        p.in_domain,
        p.path_converged,
        c.e_above_hull_ev > 0.1 AS far_above_hull,
        nullif(
            concat_ws(
                '; ',
                CASE WHEN p.in_domain IS FALSE THEN 'outside training domain' END,
                CASE WHEN p.path_converged IS FALSE THEN 'rate-limiting path not converged' END,
                CASE WHEN c.e_above_hull_ev > 0.1 THEN 'more than 0.1 eV above hull' END,
                CASE WHEN c.ordering IS NOT NULL THEN 'ordered from a disordered structure' END,
                CASE WHEN entry.vanished_at IS NOT NULL THEN 'gone from its source' END,
                CASE WHEN entry.content_hash <> c.content_hash THEN 'since changed in its source' END
            ),
            ''
        ) AS flags,
        c.e_above_hull_ev,
        c.average_voltage_v,
        c.capacity_mah_g,
        c.space_group_symbol,
        c.space_group_number,
        c.n_sites,
        p.n_hops,
        p.cutoff_ang,
        CASE p.percolation_dim
            WHEN 1 THEN p.limiting_edge_1d
            WHEN 2 THEN p.limiting_edge_2d
            WHEN 3 THEN p.limiting_edge_3d
        END AS limiting_edge,
        CASE WHEN p.barrier_at_dim_ev IS NULL THEN coalesce(
            f.reason,
            CASE
                WHEN p.n_hops = 0 THEN 'no_hops'
                WHEN p.stage_key IS NOT NULL THEN 'no_percolation'
                ELSE 'not_computed'
            END
        ) END AS reason,
        CASE WHEN p.barrier_at_dim_ev IS NULL THEN coalesce(
            f.message,
            CASE WHEN p.stage_key IS NOT NULL THEN
                'its hops, the longest ' || printf('%.2f', p.cutoff_ang) || ' Å, connect in no dimension'
            END
        ) END AS reason_message,
        p.method,
        p.model_digest,
        p.site_energies,
        p.site_energy_difference_ev,
        l.run_id,
        c.structure_hash,
        c.material_key,
        merged.all_ids,
        c.other_ids,
        c.ordering,
        c.max_delta_volume_fraction,
        c.stability_charge_ev,
        c.stability_discharge_ev,
        c.band_gap_ev,
        c.origin,
        c.database_version,
        c.licence,
        entry.vanished_at,
        row_number() OVER (
            PARTITION BY c.material_key, c.working_ion, c.state
            ORDER BY
                p.barrier_at_dim_ev IS NOT NULL DESC,
                c.structure_hash = c.material_key DESC,
                l.started_at DESC NULLS LAST,
                c.structure_hash,
                c.material_id = l.material_id DESC,
                c.source,
                c.material_id
        ) AS one_a_material
    FROM candidates AS c
    INNER JOIN (
        SELECT
            material_key, working_ion, state,
            string_agg(DISTINCT material_id, ',' ORDER BY material_id) AS all_ids
        FROM candidates
        GROUP BY material_key, working_ion, state
    ) AS merged
        ON merged.material_key = c.material_key
        AND merged.working_ion = c.working_ion
        AND merged.state = c.state
    LEFT JOIN source_entries AS entry
        ON entry.source = c.source AND entry.entry_id = c.material_id
    LEFT JOIN latest_results AS l
        ON l.structure_hash = c.structure_hash AND l.working_ion = c.working_ion
    LEFT JOIN percolation AS p
        ON p.structure_hash = l.structure_hash
        AND p.working_ion = l.working_ion
        AND p.stage_key = l.percolation_stage_key
    LEFT JOIN latest_failures AS f
        ON f.structure_hash = c.structure_hash AND f.working_ion = c.working_ion
) AS shown
WHERE shown.one_a_material = 1
ORDER BY shown.barrier_at_dim_ev ASC NULLS LAST, shown.material_id, shown.structure_hash;
COMMENT ON VIEW live_rankings IS 'What rankings will say once it is published; slow where there are many materials.';
COMMENT ON COLUMN live_rankings.rank IS 'place by barrier_at_dim_ev; null without a barrier';
COMMENT ON COLUMN live_rankings.formula IS 'reduced formula';
COMMENT ON COLUMN live_rankings.name IS 'what people call it';
COMMENT ON COLUMN live_rankings.material_id IS 'identifier within its source';
COMMENT ON COLUMN live_rankings.source IS 'reference, files, ...';
COMMENT ON COLUMN live_rankings.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN live_rankings.state IS 'discharged: the host as it is; charged: a single working ion kept in the topotactic host';
COMMENT ON COLUMN live_rankings.percolation_dim IS 'dimensions of percolation at barrier_at_dim_ev; 0 when the hops do not connect';
COMMENT ON COLUMN live_rankings.barrier_at_dim_ev IS 'the minimax barrier at percolation_dim, eV; the order of this view';
COMMENT ON COLUMN live_rankings.lower_ev IS 'lower end of its 90% interval, eV';
COMMENT ON COLUMN live_rankings.upper_ev IS 'upper end of its 90% interval, eV';
COMMENT ON COLUMN live_rankings.barrier_1d_ev IS 'least level at which the hops connect in 1 dimension, eV';
COMMENT ON COLUMN live_rankings.barrier_2d_ev IS 'least level at which the hops connect in 2 dimensions, eV';
COMMENT ON COLUMN live_rankings.barrier_3d_ev IS 'least level at which the hops connect in 3 dimensions, eV';
COMMENT ON COLUMN live_rankings.direction_conventional IS 'percolating direction or plane in the conventional cell';
COMMENT ON COLUMN live_rankings.in_domain IS 'true when the rate-limiting hop at percolation_dim lies in the training domain';
COMMENT ON COLUMN live_rankings.path_converged IS 'true when the path of the rate-limiting hop at percolation_dim met its force criterion';
COMMENT ON COLUMN live_rankings.far_above_hull IS 'true when more than 0.1 eV an atom above the hull; null means unknown';
COMMENT ON COLUMN live_rankings.flags IS 'what to be careful about, in words; null when nothing is known';
COMMENT ON COLUMN live_rankings.e_above_hull_ev IS 'energy above the convex hull, eV an atom; null means unknown';
COMMENT ON COLUMN live_rankings.average_voltage_v IS 'average voltage against the working metal, V; null means unknown';
COMMENT ON COLUMN live_rankings.capacity_mah_g IS 'gravimetric capacity with all working ions taken out, mAh/g';
COMMENT ON COLUMN live_rankings.space_group_symbol IS 'Hermann-Mauguin symbol of the space group';
COMMENT ON COLUMN live_rankings.space_group_number IS 'space group number';
COMMENT ON COLUMN live_rankings.n_sites IS 'sites in the stored cell';
COMMENT ON COLUMN live_rankings.n_hops IS 'symmetry-distinct hops in the graph';
COMMENT ON COLUMN live_rankings.cutoff_ang IS 'longest hop in the graph, angstrom';
COMMENT ON COLUMN live_rankings.limiting_edge IS 'edge_id of the rate-limiting hop at percolation_dim';
COMMENT ON COLUMN live_rankings.reason IS 'why there is no barrier, in one word; null when there is one';
COMMENT ON COLUMN live_rankings.reason_message IS 'the same in a sentence, where a failure says so';
COMMENT ON COLUMN live_rankings.method IS 'where the barriers of the hops come from: cnn, ...';
COMMENT ON COLUMN live_rankings.model_digest IS 'digest of the checkpoint behind the barriers';
COMMENT ON COLUMN live_rankings.site_energies IS 'unknown (counted as 0), partial (missing ones counted as 0) or known';
COMMENT ON COLUMN live_rankings.site_energy_difference_ev IS 'highest minus lowest site of the percolating component by bond-valence site energy, eV';
COMMENT ON COLUMN live_rankings.run_id IS 'run whose result is shown';
COMMENT ON COLUMN live_rankings.structure_hash IS 'digest of the cleaned structure';
COMMENT ON COLUMN live_rankings.material_key IS 'structure_hash that stands for all structures merged into this material';
COMMENT ON COLUMN live_rankings.all_ids IS 'material_id of all that were merged into this material, comma-separated';
COMMENT ON COLUMN live_rankings.other_ids IS 'other spellings of the identifier, and further identifiers of the same entry';
COMMENT ON COLUMN live_rankings.ordering IS 'how a disordered structure was ordered; null when it was ordered as given';
COMMENT ON COLUMN live_rankings.max_delta_volume_fraction IS 'largest volume change between charge and discharge, as a fraction; null means unknown';
COMMENT ON COLUMN live_rankings.stability_charge_ev IS 'energy above the convex hull of the charged material, eV an atom; null means unknown';
COMMENT ON COLUMN live_rankings.stability_discharge_ev IS 'energy above the convex hull of the discharged material, eV an atom; null means unknown';
COMMENT ON COLUMN live_rankings.band_gap_ev IS 'band gap that the database gives, eV; null means unknown';
COMMENT ON COLUMN live_rankings.origin IS 'where the database has it from: experiment (a collection''s id) or theory; null means unknown';
COMMENT ON COLUMN live_rankings.database_version IS 'version of the database that its content was fetched from';
COMMENT ON COLUMN live_rankings.licence IS 'SPDX identifier of the licence that it comes under; null means unknown';
COMMENT ON COLUMN live_rankings.vanished_at IS 'when its source no longer had it, UTC; null while it does';
