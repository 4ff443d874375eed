-- The Pareto front: which materials no other one beats in barrier, voltage, capacity and stability at once.
-- Comparing all with all would be quadratic. A material that is beaten is also beaten by one of the front, so any of
-- the others may go first: a few strong ones are held against all, then the strongest of each region of a coarse and
-- of a finer grid against what is left, and only what is left then against itself.
CREATE OR REPLACE VIEW pareto_front AS
WITH ranked AS MATERIALIZED (
    SELECT
        row_number() OVER () AS place,
        formula, name, material_id, source, working_ion, state, barrier_at_dim_ev, lower_ev, upper_ev,
        average_voltage_v, capacity_mah_g, e_above_hull_ev, percolation_dim, in_domain, flags, run_id,
        structure_hash,
        concat_ws(
            ', ',
            'barrier',
            CASE WHEN average_voltage_v IS NOT NULL THEN 'voltage' END,
            CASE WHEN capacity_mah_g IS NOT NULL THEN 'capacity' END,
            CASE WHEN e_above_hull_ev IS NOT NULL THEN 'hull' END
        ) AS knows
    FROM rankings
    WHERE barrier_at_dim_ev IS NOT NULL
),
known AS NOT MATERIALIZED (
    SELECT
        place,
        -- Whom it is compared with; short, since it is compared as often as the properties are.
        concat(
            working_ion, left(state, 1), (average_voltage_v IS NULL)::INTEGER,
            (capacity_mah_g IS NULL)::INTEGER, (e_above_hull_ev IS NULL)::INTEGER
        ) AS kind,
        barrier_at_dim_ev AS low_1,
        -- Within one kind a property is known of all or of none, and then it is the same for all.
        coalesce(-average_voltage_v, 0) AS low_2,
        coalesce(-capacity_mah_g, 0) AS low_3,
        coalesce(e_above_hull_ev, 0) AS low_4
    FROM ranked
),
placed AS MATERIALIZED (
    SELECT
        known.*,
        percent_rank() OVER (PARTITION BY kind ORDER BY low_1) AS share_1,
        percent_rank() OVER (PARTITION BY kind ORDER BY low_2) AS share_2,
        percent_rank() OVER (PARTITION BY kind ORDER BY low_3) AS share_3,
        percent_rank() OVER (PARTITION BY kind ORDER BY low_4) AS share_4
    FROM known
),
scored AS NOT MATERIALIZED (
    -- The share of materials that one would beat if the properties had nothing to do with each other.
    SELECT
        placed.*,
        ln(1.000001 - share_1) + ln(1.000001 - share_2) + ln(1.000001 - share_3) + ln(1.000001 - share_4)
            AS strength
    FROM placed
),
strong AS MATERIALIZED (
    SELECT ordered.*
    FROM (
        SELECT
            scored.*,
            row_number() OVER (PARTITION BY kind ORDER BY strength DESC) AS strongest_first
        FROM scored
    ) AS ordered
    WHERE ordered.strongest_first <= 64
),
left_1 AS MATERIALIZED (
    SELECT one.*
    FROM scored AS one
    WHERE NOT EXISTS (
        SELECT 1
        FROM strong AS other
        WHERE other.kind = one.kind
            AND other.low_1 <= one.low_1 AND other.low_2 <= one.low_2
            AND other.low_3 <= one.low_3 AND other.low_4 <= one.low_4
            AND (
                other.low_1 < one.low_1 OR other.low_2 < one.low_2
                OR other.low_3 < one.low_3 OR other.low_4 < one.low_4
            )
    )
),
coarse AS MATERIALIZED (
    SELECT ordered.*
    FROM (
        SELECT
            left_1.*,
            row_number() OVER (
                PARTITION BY kind, floor(share_1 * 8), floor(share_2 * 8), floor(share_3 * 8)
                ORDER BY strength DESC
            ) AS strongest_first
        FROM left_1
    ) AS ordered
    WHERE ordered.strongest_first <= 1
),
left_2 AS MATERIALIZED (
    SELECT one.*
    FROM left_1 AS one
    WHERE NOT EXISTS (
        SELECT 1
        FROM coarse AS other
        WHERE other.kind = one.kind
            AND other.low_1 <= one.low_1 AND other.low_2 <= one.low_2
            AND other.low_3 <= one.low_3 AND other.low_4 <= one.low_4
            AND (
                other.low_1 < one.low_1 OR other.low_2 < one.low_2
                OR other.low_3 < one.low_3 OR other.low_4 < one.low_4
            )
    )
),
fine AS MATERIALIZED (
    SELECT ordered.*
    FROM (
        SELECT
            left_2.*,
            row_number() OVER (
                PARTITION BY kind, floor(share_1 * 16), floor(share_2 * 16), floor(share_3 * 16)
                ORDER BY strength DESC
            ) AS strongest_first
        FROM left_2
    ) AS ordered
    WHERE ordered.strongest_first <= 1
),
left_over AS MATERIALIZED (
    SELECT one.*
    FROM left_2 AS one
    WHERE NOT EXISTS (
        SELECT 1
        FROM fine AS other
        WHERE other.kind = one.kind
            AND other.low_1 <= one.low_1 AND other.low_2 <= one.low_2
            AND other.low_3 <= one.low_3 AND other.low_4 <= one.low_4
            AND (
                other.low_1 < one.low_1 OR other.low_2 < one.low_2
                OR other.low_3 < one.low_3 OR other.low_4 < one.low_4
            )
    )
)
SELECT
    r.formula,
    r.name,
    r.material_id,
    r.source,
    r.working_ion,
    r.state,
    r.barrier_at_dim_ev,
    r.lower_ev,
    r.upper_ev,
    r.average_voltage_v,
    r.capacity_mah_g,
    r.e_above_hull_ev,
    r.knows,
    1 + (r.average_voltage_v IS NOT NULL)::INTEGER + (r.capacity_mah_g IS NOT NULL)::INTEGER
        + (r.e_above_hull_ev IS NOT NULL)::INTEGER AS n_known,
    r.percolation_dim,
    r.in_domain,
    r.flags,
    r.run_id,
    r.structure_hash
FROM left_over AS one
JOIN ranked AS r ON r.place = one.place
WHERE NOT EXISTS (
    SELECT 1
    FROM left_over AS other
    WHERE other.kind = one.kind
        AND other.low_1 <= one.low_1 AND other.low_2 <= one.low_2
        AND other.low_3 <= one.low_3 AND other.low_4 <= one.low_4
        AND (
            other.low_1 < one.low_1 OR other.low_2 < one.low_2
            OR other.low_3 < one.low_3 OR other.low_4 < one.low_4
        )
)
ORDER BY r.working_ion, r.state, n_known DESC, r.knows, r.barrier_at_dim_ev, r.material_id;
COMMENT ON VIEW pareto_front IS 'Materials that no other one beats: none with the same knowledge is at least as good in barrier (low), voltage (high), capacity (high) and energy above hull (low) and better in one. Unknown is neither better nor worse: a material is compared only with those of which the same is known, within its working ion and state; without a barrier it is left out.';
COMMENT ON COLUMN pareto_front.formula IS 'reduced formula';
COMMENT ON COLUMN pareto_front.name IS 'what people call it';
COMMENT ON COLUMN pareto_front.material_id IS 'identifier of the material within its source';
COMMENT ON COLUMN pareto_front.source IS 'reference, files, ...';
COMMENT ON COLUMN pareto_front.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN pareto_front.state IS 'discharged: the host as it is; charged: a single working ion kept in the topotactic host';
COMMENT ON COLUMN pareto_front.barrier_at_dim_ev IS 'the minimax barrier at percolation_dim, eV; low is good';
COMMENT ON COLUMN pareto_front.lower_ev IS 'lower end of its 90% interval, eV; plays no part in the comparison';
COMMENT ON COLUMN pareto_front.upper_ev IS 'upper end of its 90% interval, eV; plays no part in the comparison';
COMMENT ON COLUMN pareto_front.average_voltage_v IS 'average voltage against the working metal, V; high is good; null means unknown';
COMMENT ON COLUMN pareto_front.capacity_mah_g IS 'gravimetric capacity with all working ions taken out, mAh/g; high is good; null means unknown';
COMMENT ON COLUMN pareto_front.e_above_hull_ev IS 'energy above the convex hull, eV an atom; low is good; null means unknown';
COMMENT ON COLUMN pareto_front.knows IS 'what is known of it, out of barrier, voltage, capacity, hull; materials are compared within this';
COMMENT ON COLUMN pareto_front.n_known IS 'how many of the four that are; 4 is the whole comparison';
COMMENT ON COLUMN pareto_front.percolation_dim IS 'dimensions of percolation at barrier_at_dim_ev';
COMMENT ON COLUMN pareto_front.in_domain IS 'true when the rate-limiting hop at percolation_dim lies in the training domain';
COMMENT ON COLUMN pareto_front.flags IS 'what to be careful about, in words; null when nothing is known';
COMMENT ON COLUMN pareto_front.run_id IS 'run whose result is shown';
COMMENT ON COLUMN pareto_front.structure_hash IS 'digest of the cleaned structure';
