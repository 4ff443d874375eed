-- Hops and predictions without a primary key: its index over nine columns took more room than hops without paths,
-- slowed recording, and DuckDB answers no question from it. That each row is there once is the recorder's
-- affair, which leaves out what is there already (docs/decisions/0011-no-index-over-hops.md); `lihop db check` looks.
-- A primary key goes only by making the table anew.

ALTER TABLE hops RENAME TO hops_of_schema_4;
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
    stage_key VARCHAR NOT NULL
);
INSERT INTO hops BY NAME SELECT * FROM hops_of_schema_4;
DROP TABLE hops_of_schema_4;
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

ALTER TABLE predictions RENAME TO predictions_of_schema_4;
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
    stage_key VARCHAR NOT NULL
);
INSERT INTO predictions BY NAME SELECT * FROM predictions_of_schema_4;
DROP TABLE predictions_of_schema_4;
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
