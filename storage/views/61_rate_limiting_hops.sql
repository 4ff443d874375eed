-- Which hop decides how fast the ions get through a material, in 1, 2 and 3 dimensions.
CREATE OR REPLACE VIEW rate_limiting_hops AS
SELECT
    newest.material_id,
    newest.structure_hash,
    newest.working_ion,
    result.dimension,
    result.dimension = result.percolation_dim AS at_percolation_dim,
    hop.edge_id,
    result.barrier_ev,
    result.lower_ev,
    result.upper_ev,
    predicted.barrier_ev AS hop_barrier_ev,
    predicted.lower_ev AS hop_lower_ev,
    predicted.upper_ev AS hop_upper_ev,
    -- A pointer, since identifiers may hold what a path of keys gives a meaning.
    json_extract(
        result.bottlenecks_json,
        '/' || result.dimension || '/' || replace(replace(hop.edge_id, '~', '~0'), '/', '~1')
    )::DOUBLE AS bottleneck_fraction,
    hop.distance_ang,
    hop.d_min_ang,
    hop.multiplicity,
    predicted.in_domain,
    predicted.domain_distance,
    hop.path_kind,
    hop.path_converged,
    hop.blocked_by,
    result.method,
    result.model_digest,
    newest.run_id
FROM latest_results AS newest
JOIN hops AS hop
    ON hop.structure_no = newest.structure_no
    AND hop.working_ion = newest.working_ion
    AND hop.stage_key = newest.hops_stage_key
JOIN (
    SELECT
        p.structure_no, p.structure_hash, p.working_ion, p.stage_key, p.percolation_dim, p.method, p.model_digest,
        p.bottlenecks_json, d.dimension,
        CASE d.dimension WHEN 1 THEN p.limiting_edge_1d WHEN 2 THEN p.limiting_edge_2d ELSE p.limiting_edge_3d END
            AS edge_id,
        CASE d.dimension WHEN 1 THEN p.barrier_1d_ev WHEN 2 THEN p.barrier_2d_ev ELSE p.barrier_3d_ev END
            AS barrier_ev,
        CASE d.dimension WHEN 1 THEN p.lower_1d_ev WHEN 2 THEN p.lower_2d_ev ELSE p.lower_3d_ev END AS lower_ev,
        CASE d.dimension WHEN 1 THEN p.upper_1d_ev WHEN 2 THEN p.upper_2d_ev ELSE p.upper_3d_ev END AS upper_ev
    FROM percolation AS p
    CROSS JOIN (VALUES (1), (2), (3)) AS d (dimension)
) AS result
    ON result.structure_no = newest.structure_no
    AND result.structure_hash = newest.structure_hash
    AND result.working_ion = newest.working_ion
    AND result.stage_key = newest.percolation_stage_key
    AND result.edge_id = hop.edge_id
LEFT JOIN predictions AS predicted
    ON predicted.structure_no = hop.structure_no
    AND predicted.working_ion = hop.working_ion
    AND predicted.i = hop.i
    AND predicted.j = hop.j
    AND predicted.ox = hop.ox
    AND predicted.oy = hop.oy
    AND predicted.oz = hop.oz
    AND predicted.vacancy = hop.vacancy
    AND predicted.stage_key = newest.prediction_stage_key
ORDER BY newest.material_id, newest.structure_hash, newest.working_ion, result.dimension;
COMMENT ON VIEW rate_limiting_hops IS 'The hop that decides the barrier in 1, 2 and 3 dimensions, a row a dimension that the newest result of a structure reaches.';
COMMENT ON COLUMN rate_limiting_hops.material_id IS 'identifier of the material within its source';
COMMENT ON COLUMN rate_limiting_hops.structure_hash IS 'digest of the cleaned structure';
COMMENT ON COLUMN rate_limiting_hops.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN rate_limiting_hops.dimension IS 'dimensions in which the hops connect: 1, 2 or 3';
COMMENT ON COLUMN rate_limiting_hops.at_percolation_dim IS 'true when rankings shows the barrier of this dimension';
COMMENT ON COLUMN rate_limiting_hops.edge_id IS '{material_id}_{i}_{j}_{ox}_{oy}_{oz}, for people; that of a divacancy hop ends in _v{vacancy}';
COMMENT ON COLUMN rate_limiting_hops.barrier_ev IS 'least level at which the hops connect in that dimension, eV';
COMMENT ON COLUMN rate_limiting_hops.lower_ev IS 'lower end of its 90% interval, eV';
COMMENT ON COLUMN rate_limiting_hops.upper_ev IS 'upper end of its 90% interval, eV';
COMMENT ON COLUMN rate_limiting_hops.hop_barrier_ev IS 'predicted barrier of the hop itself, eV; less than barrier_ev when it starts from a high site';
COMMENT ON COLUMN rate_limiting_hops.hop_lower_ev IS 'lower end of the 90% interval of hop_barrier_ev, eV';
COMMENT ON COLUMN rate_limiting_hops.hop_upper_ev IS 'upper end of the 90% interval of hop_barrier_ev, eV';
COMMENT ON COLUMN rate_limiting_hops.bottleneck_fraction IS 'share of the joint draws in which this hop is the rate-limiting one, 0 to 1; null when no draw has it';
COMMENT ON COLUMN rate_limiting_hops.distance_ang IS 'distance between the two sites, angstrom';
COMMENT ON COLUMN rate_limiting_hops.d_min_ang IS 'least ion-anion distance along the path, angstrom';
COMMENT ON COLUMN rate_limiting_hops.multiplicity IS 'symmetry-equivalent undirected hops in the stored cell';
COMMENT ON COLUMN rate_limiting_hops.in_domain IS 'true when the descriptors lie inside the training domain';
COMMENT ON COLUMN rate_limiting_hops.domain_distance IS 'distance to the training set over its threshold; 1 is the edge';
COMMENT ON COLUMN rate_limiting_hops.path_kind IS 'the path that descriptors were taken along: straight, bvse, bvse_fixed_ends';
COMMENT ON COLUMN rate_limiting_hops.path_converged IS 'true when that path met its force criterion; null when none was relaxed';
COMMENT ON COLUMN rate_limiting_hops.blocked_by IS 'host_atom or network_site when the straight path runs through one';
COMMENT ON COLUMN rate_limiting_hops.method IS 'where the barriers of the hops come from: cnn, ...';
COMMENT ON COLUMN rate_limiting_hops.model_digest IS 'digest of the checkpoint or potential behind the barrier';
COMMENT ON COLUMN rate_limiting_hops.run_id IS 'run whose result is shown';
