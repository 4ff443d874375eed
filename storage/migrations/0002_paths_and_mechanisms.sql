-- Hops of several mechanisms and with relaxed paths: the further vacant site becomes part of a hop's key, and hops
-- carry their path. A primary key changes only by making the table anew, so each table is put aside, made, filled
-- and dropped; rows from before are of isolated vacancies, and what was not computed then is null.

ALTER TABLE hops RENAME TO hops_of_schema_1;
CREATE TABLE hops (
    structure_hash VARCHAR NOT NULL,
    working_ion VARCHAR NOT NULL,
    material_id VARCHAR NOT NULL,
    edge_id VARCHAR NOT NULL,
    i INTEGER NOT NULL CHECK (i >= 0),
    j INTEGER NOT NULL CHECK (j >= 0),
    ox INTEGER NOT NULL,
    oy INTEGER NOT NULL,
    oz INTEGER NOT NULL,
    vacancy VARCHAR NOT NULL DEFAULT '' CHECK (regexp_full_match(vacancy, '([0-9]+(_-?[0-9]+){3})?')),
    frac_i DOUBLE[],
    frac_j DOUBLE[],
    distance_ang DOUBLE NOT NULL CHECK (distance_ang > 0),
    multiplicity INTEGER NOT NULL CHECK (multiplicity >= 1),
    orbit INTEGER[][] NOT NULL,
    orbit_also_vacant INTEGER[][],
    direction_symmetric BOOLEAN NOT NULL,
    mechanism VARCHAR NOT NULL,
    blocked_by VARCHAR,
    path_kind VARCHAR NOT NULL,
    d_min_ang DOUBLE CHECK (d_min_ang >= 0),
    collapsed BOOLEAN,
    end_shift_ang DOUBLE CHECK (end_shift_ang >= 0),
    path_converged BOOLEAN,
    residual_force_ev_ang DOUBLE CHECK (residual_force_ev_ang >= 0),
    path_steps INTEGER CHECK (path_steps >= 0),
    path_length_ang DOUBLE CHECK (path_length_ang >= 0),
    bvse_barrier_ev DOUBLE,
    bvse_barrier_forward_ev DOUBLE,
    bvse_barrier_reverse_ev DOUBLE,
    bvse_site_energy_difference_ev DOUBLE,
    saddle_fraction DOUBLE CHECK (saddle_fraction BETWEEN 0 AND 1),
    path_ang DOUBLE[][],
    path_energies_ev DOUBLE[],
    extrema_fraction DOUBLE[],
    extrema_ev DOUBLE[],
    n_intermediate_minima INTEGER CHECK (n_intermediate_minima >= 0),
    missing_parameters VARCHAR[],
    stage_key VARCHAR NOT NULL,
    PRIMARY KEY (structure_hash, working_ion, i, j, ox, oy, oz, vacancy, stage_key)
);
INSERT INTO hops BY NAME SELECT * FROM hops_of_schema_1;
DROP TABLE hops_of_schema_1;
COMMENT ON TABLE hops IS 'A symmetry-distinct vacancy hop i -> j + image; it and its reverse are one hop.';
COMMENT ON COLUMN hops.structure_hash IS 'digest of the cleaned structure that the hop lies in';
COMMENT ON COLUMN hops.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN hops.material_id IS 'identifier of the material within its source';
COMMENT ON COLUMN hops.edge_id IS '{material_id}_{i}_{j}_{ox}_{oy}_{oz}, for people; that of a divacancy hop ends in _v{vacancy}';
COMMENT ON COLUMN hops.i IS 'initial site, index over all stored sites';
COMMENT ON COLUMN hops.j IS 'final site, index over all stored sites';
COMMENT ON COLUMN hops.ox IS 'periodic image of the final site along a';
COMMENT ON COLUMN hops.oy IS 'periodic image of the final site along b';
COMMENT ON COLUMN hops.oz IS 'periodic image of the final site along c';
COMMENT ON COLUMN hops.vacancy IS 'further vacant site of a divacancy hop and its image, k_kx_ky_kz; empty for an isolated vacancy';
COMMENT ON COLUMN hops.frac_i IS 'initial site, fractional coordinates in the stored cell';
COMMENT ON COLUMN hops.frac_j IS 'final site with its periodic image, fractional coordinates in the stored cell';
COMMENT ON COLUMN hops.distance_ang IS 'distance between the two sites, angstrom';
COMMENT ON COLUMN hops.multiplicity IS 'symmetry-equivalent undirected hops in the stored cell';
COMMENT ON COLUMN hops.orbit IS 'every [i, j, ox, oy, oz] of the orbit, this one included';
COMMENT ON COLUMN hops.orbit_also_vacant IS 'of a divacancy hop: the further vacant site [k, kx, ky, kz] for each entry of the orbit';
COMMENT ON COLUMN hops.direction_symmetric IS 'true when a symmetry operation maps the hop onto its reverse';
COMMENT ON COLUMN hops.mechanism IS 'isolated: one vacancy; divacancy: the site named by vacancy is vacant too';
COMMENT ON COLUMN hops.blocked_by IS 'host_atom or network_site when the straight path runs through one; null when free';
COMMENT ON COLUMN hops.path_kind IS 'the path that descriptors were taken along: straight, bvse, bvse_fixed_ends';
COMMENT ON COLUMN hops.d_min_ang IS 'least ion-anion distance along the path, angstrom';
COMMENT ON COLUMN hops.collapsed IS 'true when an end left its site while the path was relaxed';
COMMENT ON COLUMN hops.end_shift_ang IS 'largest move of an end from its site, angstrom';
COMMENT ON COLUMN hops.path_converged IS 'true when the path met its force criterion; null when none was relaxed';
COMMENT ON COLUMN hops.residual_force_ev_ang IS 'largest force left on the path, eV/angstrom';
COMMENT ON COLUMN hops.path_steps IS 'steps of the relaxation';
COMMENT ON COLUMN hops.path_length_ang IS 'length of the path, angstrom';
COMMENT ON COLUMN hops.bvse_barrier_ev IS 'E(saddle) - min(E_i, E_j) of the bond-valence site energy, eV; null means unknown';
COMMENT ON COLUMN hops.bvse_barrier_forward_ev IS 'E(saddle) - E_i of the bond-valence site energy, eV';
COMMENT ON COLUMN hops.bvse_barrier_reverse_ev IS 'E(saddle) - E_j of the bond-valence site energy, eV';
COMMENT ON COLUMN hops.bvse_site_energy_difference_ev IS 'E_j - E_i of the bond-valence site energy, eV';
COMMENT ON COLUMN hops.saddle_fraction IS 'where the saddle lies, as a fraction of the length of the path';
COMMENT ON COLUMN hops.path_ang IS 'Cartesian points of the path with i in the home cell, angstrom';
COMMENT ON COLUMN hops.path_energies_ev IS 'energies at these points, relative to the lower end, eV';
COMMENT ON COLUMN hops.extrema_fraction IS 'minima and maxima between the ends, as fractions of the length of the path';
COMMENT ON COLUMN hops.extrema_ev IS 'energies of these extrema, relative to the lower end, eV';
COMMENT ON COLUMN hops.n_intermediate_minima IS 'minima between the ends that split the hop';
COMMENT ON COLUMN hops.missing_parameters IS 'what the bond-valence site energy has no parameters for';
COMMENT ON COLUMN hops.stage_key IS 'digest of everything that this row was computed from';

ALTER TABLE predictions RENAME TO predictions_of_schema_1;
CREATE TABLE predictions (
    structure_hash VARCHAR NOT NULL,
    working_ion VARCHAR NOT NULL,
    i INTEGER NOT NULL CHECK (i >= 0),
    j INTEGER NOT NULL CHECK (j >= 0),
    ox INTEGER NOT NULL,
    oy INTEGER NOT NULL,
    oz INTEGER NOT NULL,
    vacancy VARCHAR NOT NULL DEFAULT '' CHECK (regexp_full_match(vacancy, '([0-9]+(_-?[0-9]+){3})?')),
    edge_id VARCHAR NOT NULL,
    method VARCHAR NOT NULL,
    model_digest VARCHAR NOT NULL,
    barrier_ev DOUBLE NOT NULL CHECK (barrier_ev > 0),
    log_spread DOUBLE NOT NULL CHECK (log_spread >= 0),
    member_barriers_ev DOUBLE[] NOT NULL,
    lower_ev DOUBLE NOT NULL CHECK (lower_ev >= 0),
    upper_ev DOUBLE NOT NULL CHECK (upper_ev >= lower_ev),
    in_domain BOOLEAN NOT NULL,
    domain_distance DOUBLE NOT NULL CHECK (domain_distance >= 0),
    stage_key VARCHAR NOT NULL,
    PRIMARY KEY (structure_hash, working_ion, i, j, ox, oy, oz, vacancy, stage_key)
);
INSERT INTO predictions BY NAME SELECT * FROM predictions_of_schema_1;
DROP TABLE predictions_of_schema_1;
COMMENT ON TABLE predictions IS 'A predicted migration barrier of one hop by one model.';
COMMENT ON COLUMN predictions.structure_hash IS 'digest of the cleaned structure that the hop lies in';
COMMENT ON COLUMN predictions.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN predictions.i IS 'initial site, index over all stored sites';
COMMENT ON COLUMN predictions.j IS 'final site, index over all stored sites';
COMMENT ON COLUMN predictions.ox IS 'periodic image of the final site along a';
COMMENT ON COLUMN predictions.oy IS 'periodic image of the final site along b';
COMMENT ON COLUMN predictions.oz IS 'periodic image of the final site along c';
COMMENT ON COLUMN predictions.vacancy IS 'further vacant site of a divacancy hop and its image, k_kx_ky_kz; empty for an isolated vacancy';
COMMENT ON COLUMN predictions.edge_id IS '{material_id}_{i}_{j}_{ox}_{oy}_{oz}, for people; that of a divacancy hop ends in _v{vacancy}';
COMMENT ON COLUMN predictions.method IS 'cnn, ...';
COMMENT ON COLUMN predictions.model_digest IS 'digest of the checkpoint that predicted';
COMMENT ON COLUMN predictions.barrier_ev IS 'migration barrier, E(saddle) - min(E_i, E_j), eV';
COMMENT ON COLUMN predictions.log_spread IS 'standard deviation of log(barrier) over the ensemble';
COMMENT ON COLUMN predictions.member_barriers_ev IS 'one barrier a member of the ensemble, eV';
COMMENT ON COLUMN predictions.lower_ev IS 'lower end of the calibrated 90% interval, eV';
COMMENT ON COLUMN predictions.upper_ev IS 'upper end of the calibrated 90% interval, eV';
COMMENT ON COLUMN predictions.in_domain IS 'true when the descriptors lie inside the training domain';
COMMENT ON COLUMN predictions.domain_distance IS 'distance to the training set over its threshold; 1 is the edge';
COMMENT ON COLUMN predictions.stage_key IS 'digest of everything that this row was computed from';

ALTER TABLE refinements RENAME TO refinements_of_schema_1;
CREATE TABLE refinements (
    structure_hash VARCHAR NOT NULL,
    working_ion VARCHAR NOT NULL,
    i INTEGER NOT NULL CHECK (i >= 0),
    j INTEGER NOT NULL CHECK (j >= 0),
    ox INTEGER NOT NULL,
    oy INTEGER NOT NULL,
    oz INTEGER NOT NULL,
    vacancy VARCHAR NOT NULL DEFAULT '' CHECK (regexp_full_match(vacancy, '([0-9]+(_-?[0-9]+){3})?')),
    edge_id VARCHAR NOT NULL,
    method VARCHAR NOT NULL,
    model_digest VARCHAR,
    barrier_ev DOUBLE NOT NULL CHECK (barrier_ev >= 0),
    barrier_forward_ev DOUBLE,
    barrier_reverse_ev DOUBLE,
    converged BOOLEAN NOT NULL,
    residual_force_ev_ang DOUBLE CHECK (residual_force_ev_ang >= 0),
    n_images INTEGER CHECK (n_images >= 1),
    n_steps INTEGER CHECK (n_steps >= 0),
    stage_key VARCHAR NOT NULL,
    PRIMARY KEY (structure_hash, working_ion, i, j, ox, oy, oz, vacancy, method, stage_key)
);
INSERT INTO refinements BY NAME SELECT * FROM refinements_of_schema_1;
DROP TABLE refinements_of_schema_1;
COMMENT ON TABLE refinements IS 'A barrier of one hop from a relaxed path (NEB), with its convergence.';
COMMENT ON COLUMN refinements.structure_hash IS 'digest of the cleaned structure that the hop lies in';
COMMENT ON COLUMN refinements.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN refinements.i IS 'initial site, index over all stored sites';
COMMENT ON COLUMN refinements.j IS 'final site, index over all stored sites';
COMMENT ON COLUMN refinements.ox IS 'periodic image of the final site along a';
COMMENT ON COLUMN refinements.oy IS 'periodic image of the final site along b';
COMMENT ON COLUMN refinements.oz IS 'periodic image of the final site along c';
COMMENT ON COLUMN refinements.vacancy IS 'further vacant site of a divacancy hop and its image, k_kx_ky_kz; empty for an isolated vacancy';
COMMENT ON COLUMN refinements.edge_id IS '{material_id}_{i}_{j}_{ox}_{oy}_{oz}, for people; that of a divacancy hop ends in _v{vacancy}';
COMMENT ON COLUMN refinements.method IS 'chgnet-neb, vasp-neb, ...';
COMMENT ON COLUMN refinements.model_digest IS 'digest of the potential; null when none has one, as in DFT';
COMMENT ON COLUMN refinements.barrier_ev IS 'migration barrier, E(saddle) - min(E_i, E_j), eV';
COMMENT ON COLUMN refinements.barrier_forward_ev IS 'E(saddle) - E_i, eV; null means unknown';
COMMENT ON COLUMN refinements.barrier_reverse_ev IS 'E(saddle) - E_j, eV; null means unknown';
COMMENT ON COLUMN refinements.converged IS 'true when the path met its force criterion; never unknown';
COMMENT ON COLUMN refinements.residual_force_ev_ang IS 'largest force left on the path, eV/angstrom; null means unknown';
COMMENT ON COLUMN refinements.n_images IS 'images between the ends';
COMMENT ON COLUMN refinements.n_steps IS 'optimizer steps taken';
COMMENT ON COLUMN refinements.stage_key IS 'digest of everything that this row was computed from';

ALTER TABLE percolation RENAME TO percolation_of_schema_1;
CREATE TABLE percolation (
    structure_hash VARCHAR NOT NULL,
    working_ion VARCHAR NOT NULL,
    method VARCHAR NOT NULL,
    model_digest VARCHAR NOT NULL,
    n_hops INTEGER NOT NULL CHECK (n_hops >= 0),
    cutoff_ang DOUBLE CHECK (cutoff_ang > 0),
    percolation_dim INTEGER CHECK (percolation_dim BETWEEN 0 AND 3),
    barrier_at_dim_ev DOUBLE,
    lower_ev DOUBLE,
    upper_ev DOUBLE,
    barrier_1d_ev DOUBLE,
    barrier_2d_ev DOUBLE,
    barrier_3d_ev DOUBLE,
    lower_1d_ev DOUBLE,
    upper_1d_ev DOUBLE,
    lower_2d_ev DOUBLE,
    upper_2d_ev DOUBLE,
    lower_3d_ev DOUBLE,
    upper_3d_ev DOUBLE,
    limiting_edge_1d VARCHAR,
    limiting_edge_2d VARCHAR,
    limiting_edge_3d VARCHAR,
    directions_1d INTEGER[][],
    directions_2d INTEGER[][],
    directions_3d INTEGER[][],
    direction_conventional VARCHAR,
    site_energies VARCHAR NOT NULL CHECK (site_energies IN ('unknown', 'partial', 'known')),
    site_energy_difference_ev DOUBLE CHECK (site_energy_difference_ev >= 0),
    in_domain BOOLEAN,
    path_converged BOOLEAN,
    bottlenecks_json VARCHAR,
    dims_json VARCHAR,
    draws INTEGER NOT NULL CHECK (draws >= 0),
    stage_key VARCHAR NOT NULL,
    PRIMARY KEY (structure_hash, working_ion, stage_key)
);
INSERT INTO percolation BY NAME SELECT * FROM percolation_of_schema_1;
DROP TABLE percolation_of_schema_1;
COMMENT ON TABLE percolation IS 'In how many dimensions, and over what barrier, the working ions of one material percolate.';
COMMENT ON COLUMN percolation.structure_hash IS 'digest of the cleaned structure';
COMMENT ON COLUMN percolation.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN percolation.method IS 'where the barriers of the hops come from: cnn, ...';
COMMENT ON COLUMN percolation.model_digest IS 'digest of the checkpoint behind those barriers';
COMMENT ON COLUMN percolation.n_hops IS 'symmetry-distinct hops in the graph';
COMMENT ON COLUMN percolation.cutoff_ang IS 'longest hop in the graph, angstrom';
COMMENT ON COLUMN percolation.percolation_dim IS 'dimensions of percolation at barrier_at_dim_ev; 0 when the hops do not connect';
COMMENT ON COLUMN percolation.barrier_at_dim_ev IS 'the minimax barrier at percolation_dim, eV; what rankings are ordered by';
COMMENT ON COLUMN percolation.lower_ev IS 'lower end of the 90% interval of barrier_at_dim_ev, eV';
COMMENT ON COLUMN percolation.upper_ev IS 'upper end of the 90% interval of barrier_at_dim_ev, eV';
COMMENT ON COLUMN percolation.barrier_1d_ev IS 'least level at which the hops connect in 1 dimension, eV; null when they do not';
COMMENT ON COLUMN percolation.barrier_2d_ev IS 'least level at which the hops connect in 2 dimensions, eV; null when they do not';
COMMENT ON COLUMN percolation.barrier_3d_ev IS 'least level at which the hops connect in 3 dimensions, eV; null when they do not';
COMMENT ON COLUMN percolation.lower_1d_ev IS 'lower end of the 90% interval of barrier_1d_ev, eV';
COMMENT ON COLUMN percolation.upper_1d_ev IS 'upper end of the 90% interval of barrier_1d_ev, eV';
COMMENT ON COLUMN percolation.lower_2d_ev IS 'lower end of the 90% interval of barrier_2d_ev, eV';
COMMENT ON COLUMN percolation.upper_2d_ev IS 'upper end of the 90% interval of barrier_2d_ev, eV';
COMMENT ON COLUMN percolation.lower_3d_ev IS 'lower end of the 90% interval of barrier_3d_ev, eV';
COMMENT ON COLUMN percolation.upper_3d_ev IS 'upper end of the 90% interval of barrier_3d_ev, eV';
COMMENT ON COLUMN percolation.limiting_edge_1d IS 'edge_id of the rate-limiting hop of barrier_1d_ev';
COMMENT ON COLUMN percolation.limiting_edge_2d IS 'edge_id of the rate-limiting hop of barrier_2d_ev';
COMMENT ON COLUMN percolation.limiting_edge_3d IS 'edge_id of the rate-limiting hop of barrier_3d_ev';
COMMENT ON COLUMN percolation.directions_1d IS 'lattice vectors of the stored cell along which barrier_1d_ev percolates';
COMMENT ON COLUMN percolation.directions_2d IS 'lattice vectors of the stored cell along which barrier_2d_ev percolates';
COMMENT ON COLUMN percolation.directions_3d IS 'lattice vectors of the stored cell along which barrier_3d_ev percolates';
COMMENT ON COLUMN percolation.direction_conventional IS 'the percolating direction or plane at percolation_dim in the conventional cell';
COMMENT ON COLUMN percolation.site_energies IS 'unknown: site energies counted as 0; partial: missing ones did; known: saddles above the lowest site';
COMMENT ON COLUMN percolation.site_energy_difference_ev IS 'highest minus lowest site of the percolating component by bond-valence site energy, eV';
COMMENT ON COLUMN percolation.in_domain IS 'true when the rate-limiting hop at percolation_dim lies in the training domain';
COMMENT ON COLUMN percolation.path_converged IS 'true when the path of the rate-limiting hop at percolation_dim met its force criterion';
COMMENT ON COLUMN percolation.bottlenecks_json IS 'share of draws in which each edge_id is rate-limiting, by dimension, as JSON: {"1": {edge_id: share}}';
COMMENT ON COLUMN percolation.dims_json IS 'share of draws with each percolation_dim, as JSON: {"1": share}';
COMMENT ON COLUMN percolation.draws IS 'joint draws behind the intervals';
COMMENT ON COLUMN percolation.stage_key IS 'digest of everything that this row was computed from';
