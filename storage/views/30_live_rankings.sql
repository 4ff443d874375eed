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
    LEFT JOIN live_results AS l
        ON l.structure_hash = c.structure_hash AND l.working_ion = c.working_ion
    LEFT JOIN percolation AS p
        ON p.structure_no = l.structure_no
        AND p.structure_hash = l.structure_hash
        AND p.working_ion = l.working_ion
        AND p.stage_key = l.percolation_stage_key
    LEFT JOIN latest_failures AS f
        ON f.structure_hash = c.structure_hash AND f.working_ion = c.working_ion
) AS shown
WHERE shown.one_a_material = 1
ORDER BY shown.barrier_at_dim_ev ASC NULLS LAST, shown.material_id, shown.structure_hash;
COMMENT ON VIEW live_rankings IS 'What rankings will say once it is published; slow where there are many materials.';
