-- The first schema: what a screening records, table by table. Columns equal the fields of storage/records.py.
-- No foreign keys: shards arrive in any order, and DuckDB would refuse to update a row that another one points at.

CREATE TABLE runs (
    run_id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    working_ion VARCHAR NOT NULL,
    settings_json VARCHAR NOT NULL,
    settings_digest VARCHAR NOT NULL,
    model_digest VARCHAR NOT NULL,
    code_version VARCHAR NOT NULL,
    started_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP,
    status VARCHAR NOT NULL CHECK (status IN ('running', 'completed', 'failed')),
    n_candidates INTEGER NOT NULL CHECK (n_candidates >= 0),
    n_computed INTEGER NOT NULL CHECK (n_computed >= 0),
    n_reused INTEGER NOT NULL CHECK (n_reused >= 0),
    n_failed INTEGER NOT NULL CHECK (n_failed >= 0),
    PRIMARY KEY (run_id)
);
COMMENT ON TABLE runs IS 'One run of a flow and the manifest that it was started with.';
COMMENT ON COLUMN runs.run_id IS 'identifier of the run';
COMMENT ON COLUMN runs.name IS 'name of the run, for people';
COMMENT ON COLUMN runs.source IS 'where its materials came from: reference, files, ...';
COMMENT ON COLUMN runs.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN runs.settings_json IS 'all settings of the run, as JSON';
COMMENT ON COLUMN runs.settings_digest IS 'digest of the settings';
COMMENT ON COLUMN runs.model_digest IS 'digest of the checkpoint that predicted';
COMMENT ON COLUMN runs.code_version IS 'version of lihop that ran';
COMMENT ON COLUMN runs.started_at IS 'when it started, UTC';
COMMENT ON COLUMN runs.finished_at IS 'when it finished, UTC; null while it runs or when it was killed';
COMMENT ON COLUMN runs.status IS 'running, completed or failed';
COMMENT ON COLUMN runs.n_candidates IS 'materials that entered the screening';
COMMENT ON COLUMN runs.n_computed IS 'materials computed in this run';
COMMENT ON COLUMN runs.n_reused IS 'materials whose earlier results were taken over';
COMMENT ON COLUMN runs.n_failed IS 'materials without a result';

CREATE TABLE candidates (
    structure_hash VARCHAR NOT NULL,
    material_id VARCHAR NOT NULL,
    material_key VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    source_ref VARCHAR,
    formula VARCHAR NOT NULL,
    name VARCHAR,
    working_ion VARCHAR NOT NULL,
    n_sites INTEGER NOT NULL CHECK (n_sites >= 1),
    n_working_ions INTEGER NOT NULL CHECK (n_working_ions >= 1),
    volume_ang3 DOUBLE NOT NULL CHECK (volume_ang3 > 0),
    space_group_number INTEGER CHECK (space_group_number BETWEEN 1 AND 230),
    space_group_symbol VARCHAR,
    structure_json VARCHAR NOT NULL,
    oxidation_method VARCHAR,
    oxidation_states DOUBLE[],
    e_above_hull_ev DOUBLE,
    average_voltage_v DOUBLE,
    capacity_mah_g DOUBLE CHECK (capacity_mah_g >= 0),
    stage_key VARCHAR NOT NULL,
    PRIMARY KEY (source, material_id, structure_hash, working_ion)
);
COMMENT ON TABLE candidates IS 'A material that may be screened: one cleaned structure, and where it came from.';
COMMENT ON COLUMN candidates.structure_hash IS 'digest of the cleaned structure, in its stored site order';
COMMENT ON COLUMN candidates.material_id IS 'identifier within its source';
COMMENT ON COLUMN candidates.material_key IS 'structure_hash of the material that this one was merged into; its own when it stands for itself';
COMMENT ON COLUMN candidates.source IS 'reference, files, ...';
COMMENT ON COLUMN candidates.source_ref IS 'DOI, database id or relative file path; null when unknown';
COMMENT ON COLUMN candidates.formula IS 'reduced formula';
COMMENT ON COLUMN candidates.name IS 'what people call it, e.g. olivine LiFePO4';
COMMENT ON COLUMN candidates.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN candidates.n_sites IS 'sites in the stored cell';
COMMENT ON COLUMN candidates.n_working_ions IS 'working ions in the stored cell';
COMMENT ON COLUMN candidates.volume_ang3 IS 'volume of the stored cell, cubic angstrom';
COMMENT ON COLUMN candidates.space_group_number IS 'space group number that was found; null when none was';
COMMENT ON COLUMN candidates.space_group_symbol IS 'Hermann-Mauguin symbol of that space group';
COMMENT ON COLUMN candidates.structure_json IS 'the cleaned structure as pymatgen JSON';
COMMENT ON COLUMN candidates.oxidation_method IS 'how charges were assigned: bond_valence, composition; null when neither works';
COMMENT ON COLUMN candidates.oxidation_states IS 'charge of each site in e, in stored order; null when unknown';
COMMENT ON COLUMN candidates.e_above_hull_ev IS 'energy above the convex hull, eV an atom; null means unknown';
COMMENT ON COLUMN candidates.average_voltage_v IS 'average voltage against the working metal, V; null means unknown';
COMMENT ON COLUMN candidates.capacity_mah_g IS 'gravimetric capacity with all working ions taken out, mAh/g';
COMMENT ON COLUMN candidates.stage_key IS 'digest of the source item and of the cleaning that made this row';

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
    distance_ang DOUBLE NOT NULL CHECK (distance_ang > 0),
    multiplicity INTEGER NOT NULL CHECK (multiplicity >= 1),
    orbit INTEGER[][] NOT NULL,
    direction_symmetric BOOLEAN NOT NULL,
    mechanism VARCHAR NOT NULL,
    blocked_by VARCHAR,
    path_kind VARCHAR NOT NULL,
    d_min_ang DOUBLE CHECK (d_min_ang >= 0),
    stage_key VARCHAR NOT NULL,
    PRIMARY KEY (structure_hash, working_ion, i, j, ox, oy, oz, stage_key)
);
COMMENT ON TABLE hops IS 'A symmetry-distinct vacancy hop i -> j + image; it and its reverse are one hop.';
COMMENT ON COLUMN hops.structure_hash IS 'digest of the cleaned structure that the hop lies in';
COMMENT ON COLUMN hops.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN hops.material_id IS 'identifier of the material within its source';
COMMENT ON COLUMN hops.edge_id IS '{material_id}_{i}_{j}_{ox}_{oy}_{oz}, for people';
COMMENT ON COLUMN hops.i IS 'initial site, index over all stored sites';
COMMENT ON COLUMN hops.j IS 'final site, index over all stored sites';
COMMENT ON COLUMN hops.ox IS 'periodic image of the final site along a';
COMMENT ON COLUMN hops.oy IS 'periodic image of the final site along b';
COMMENT ON COLUMN hops.oz IS 'periodic image of the final site along c';
COMMENT ON COLUMN hops.distance_ang IS 'distance between the two sites, angstrom';
COMMENT ON COLUMN hops.multiplicity IS 'symmetry-equivalent undirected hops in the stored cell';
COMMENT ON COLUMN hops.orbit IS 'every [i, j, ox, oy, oz] of the orbit, this one included';
COMMENT ON COLUMN hops.direction_symmetric IS 'true when a symmetry operation maps the hop onto its reverse';
COMMENT ON COLUMN hops.mechanism IS 'isolated: one vacancy; otherwise which neighbour is vacant too';
COMMENT ON COLUMN hops.blocked_by IS 'host_atom or network_site when the straight path runs through one; null when free';
COMMENT ON COLUMN hops.path_kind IS 'the path that descriptors were taken along: straight, ...';
COMMENT ON COLUMN hops.d_min_ang IS 'least ion-anion distance along the path, angstrom';
COMMENT ON COLUMN hops.stage_key IS 'digest of everything that this row was computed from';

CREATE TABLE predictions (
    structure_hash VARCHAR NOT NULL,
    working_ion VARCHAR NOT NULL,
    i INTEGER NOT NULL CHECK (i >= 0),
    j INTEGER NOT NULL CHECK (j >= 0),
    ox INTEGER NOT NULL,
    oy INTEGER NOT NULL,
    oz INTEGER NOT NULL,
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
    PRIMARY KEY (structure_hash, working_ion, i, j, ox, oy, oz, stage_key)
);
COMMENT ON TABLE predictions IS 'A predicted migration barrier of one hop by one model.';
COMMENT ON COLUMN predictions.structure_hash IS 'digest of the cleaned structure that the hop lies in';
COMMENT ON COLUMN predictions.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN predictions.i IS 'initial site, index over all stored sites';
COMMENT ON COLUMN predictions.j IS 'final site, index over all stored sites';
COMMENT ON COLUMN predictions.ox IS 'periodic image of the final site along a';
COMMENT ON COLUMN predictions.oy IS 'periodic image of the final site along b';
COMMENT ON COLUMN predictions.oz IS 'periodic image of the final site along c';
COMMENT ON COLUMN predictions.edge_id IS '{material_id}_{i}_{j}_{ox}_{oy}_{oz}, for people';
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
    site_energies VARCHAR NOT NULL CHECK (site_energies IN ('unknown', 'known')),
    in_domain BOOLEAN,
    bottlenecks_json VARCHAR,
    dims_json VARCHAR,
    draws INTEGER NOT NULL CHECK (draws >= 0),
    stage_key VARCHAR NOT NULL,
    PRIMARY KEY (structure_hash, working_ion, stage_key)
);
COMMENT ON TABLE percolation IS 'In how many dimensions, and over what barrier, the working ions of one material percolate.';
COMMENT ON COLUMN percolation.structure_hash IS 'digest of the cleaned structure that the hop lies in';
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
COMMENT ON COLUMN percolation.site_energies IS 'unknown: site energies counted as 0; known: saddles above the lowest site';
COMMENT ON COLUMN percolation.in_domain IS 'true when the rate-limiting hop at percolation_dim lies in the training domain';
COMMENT ON COLUMN percolation.bottlenecks_json IS 'share of draws in which each edge_id is rate-limiting, by dimension, as JSON: {"1": {edge_id: share}}';
COMMENT ON COLUMN percolation.dims_json IS 'share of draws with each percolation_dim, as JSON: {"1": share}';
COMMENT ON COLUMN percolation.draws IS 'joint draws behind the intervals';
COMMENT ON COLUMN percolation.stage_key IS 'digest of everything that this row was computed from';

CREATE TABLE refinements (
    structure_hash VARCHAR NOT NULL,
    working_ion VARCHAR NOT NULL,
    i INTEGER NOT NULL CHECK (i >= 0),
    j INTEGER NOT NULL CHECK (j >= 0),
    ox INTEGER NOT NULL,
    oy INTEGER NOT NULL,
    oz INTEGER NOT NULL,
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
    PRIMARY KEY (structure_hash, working_ion, i, j, ox, oy, oz, method, stage_key)
);
COMMENT ON TABLE refinements IS 'A barrier of one hop from a relaxed path (NEB), with its convergence.';
COMMENT ON COLUMN refinements.structure_hash IS 'digest of the cleaned structure that the hop lies in';
COMMENT ON COLUMN refinements.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN refinements.i IS 'initial site, index over all stored sites';
COMMENT ON COLUMN refinements.j IS 'final site, index over all stored sites';
COMMENT ON COLUMN refinements.ox IS 'periodic image of the final site along a';
COMMENT ON COLUMN refinements.oy IS 'periodic image of the final site along b';
COMMENT ON COLUMN refinements.oz IS 'periodic image of the final site along c';
COMMENT ON COLUMN refinements.edge_id IS '{material_id}_{i}_{j}_{ox}_{oy}_{oz}, for people';
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

CREATE TABLE failures (
    material_id VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    working_ion VARCHAR NOT NULL,
    structure_hash VARCHAR,
    formula VARCHAR,
    stage VARCHAR NOT NULL CHECK (length(stage) > 0),
    reason VARCHAR NOT NULL CHECK (length(reason) > 0),
    message VARCHAR NOT NULL,
    traceback VARCHAR,
    stage_key VARCHAR NOT NULL,
    PRIMARY KEY (material_id, source, working_ion, stage, reason, stage_key)
);
COMMENT ON TABLE failures IS 'Something that has no result, and why.';
COMMENT ON COLUMN failures.material_id IS 'identifier within its source';
COMMENT ON COLUMN failures.source IS 'reference, files, ...';
COMMENT ON COLUMN failures.working_ion IS 'element symbol of the ion that was asked for';
COMMENT ON COLUMN failures.structure_hash IS 'digest of the cleaned structure; null when it did not get that far';
COMMENT ON COLUMN failures.formula IS 'reduced formula; null when unknown';
COMMENT ON COLUMN failures.stage IS 'stage at which it failed: candidates, hops, descriptors, prediction, percolation';
COMMENT ON COLUMN failures.reason IS 'why, in one word to group by';
COMMENT ON COLUMN failures.message IS 'why, in a sentence';
COMMENT ON COLUMN failures.traceback IS 'traceback of an unexpected error';
COMMENT ON COLUMN failures.stage_key IS 'digest of everything that this row was computed from';

CREATE TABLE models (
    model_digest VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    arch VARCHAR NOT NULL,
    members INTEGER NOT NULL CHECK (members >= 1),
    trained_on VARCHAR NOT NULL,
    n_training_hops INTEGER NOT NULL CHECK (n_training_hops >= 0),
    descriptor_versions_json VARCHAR NOT NULL,
    metrics_json VARCHAR NOT NULL,
    PRIMARY KEY (model_digest)
);
COMMENT ON TABLE models IS 'A checkpoint that predictions were made with.';
COMMENT ON COLUMN models.model_digest IS 'digest of the checkpoint and its calibration';
COMMENT ON COLUMN models.name IS 'name of the model, for people';
COMMENT ON COLUMN models.arch IS 'kind of network: cnn, ...';
COMMENT ON COLUMN models.members IS 'members of the ensemble';
COMMENT ON COLUMN models.trained_on IS 'data set and split that it was trained on';
COMMENT ON COLUMN models.n_training_hops IS 'labelled hops that it was trained on';
COMMENT ON COLUMN models.descriptor_versions_json IS 'version of every descriptor group that it takes, as JSON';
COMMENT ON COLUMN models.metrics_json IS 'figures measured on held-out hops, as JSON';

CREATE TABLE stage_results (
    stage_key VARCHAR NOT NULL,
    structure_hash VARCHAR,
    working_ion VARCHAR NOT NULL,
    stage VARCHAR NOT NULL CHECK (length(stage) > 0),
    shard VARCHAR,
    n_rows INTEGER NOT NULL CHECK (n_rows >= 0),
    PRIMARY KEY (stage_key)
);
COMMENT ON TABLE stage_results IS 'A stage that is done for one structure: what is recorded under a key is not computed again.';
COMMENT ON COLUMN stage_results.stage_key IS 'digest of everything that the stage''s rows were computed from';
COMMENT ON COLUMN stage_results.structure_hash IS 'digest of the cleaned structure; null for a source item, before it is read';
COMMENT ON COLUMN stage_results.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN stage_results.stage IS 'candidates, hops, descriptors, prediction or percolation';
COMMENT ON COLUMN stage_results.shard IS 'file name of the descriptor shard, where there is one';
COMMENT ON COLUMN stage_results.n_rows IS 'rows that the stage recorded under the key';

CREATE TABLE run_materials (
    run_id VARCHAR NOT NULL,
    structure_hash VARCHAR NOT NULL,
    working_ion VARCHAR NOT NULL,
    material_id VARCHAR NOT NULL,
    hops_stage_key VARCHAR NOT NULL,
    prediction_stage_key VARCHAR NOT NULL,
    percolation_stage_key VARCHAR NOT NULL,
    PRIMARY KEY (run_id, structure_hash, working_ion)
);
COMMENT ON TABLE run_materials IS 'Which material took part in which run, and under which keys its results stand.';
COMMENT ON COLUMN run_materials.run_id IS 'the run';
COMMENT ON COLUMN run_materials.structure_hash IS 'digest of the cleaned structure';
COMMENT ON COLUMN run_materials.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN run_materials.material_id IS 'identifier within its source';
COMMENT ON COLUMN run_materials.hops_stage_key IS 'stage_key of its rows in hops';
COMMENT ON COLUMN run_materials.prediction_stage_key IS 'stage_key of its rows in predictions';
COMMENT ON COLUMN run_materials.percolation_stage_key IS 'stage_key of its row in percolation';

CREATE TABLE run_failures (
    run_id VARCHAR NOT NULL,
    material_id VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    working_ion VARCHAR NOT NULL,
    stage VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    stage_key VARCHAR NOT NULL,
    PRIMARY KEY (run_id, material_id, source, working_ion, stage, reason, stage_key)
);
COMMENT ON TABLE run_failures IS 'Which failure took part in which run.';
COMMENT ON COLUMN run_failures.run_id IS 'the run';
COMMENT ON COLUMN run_failures.material_id IS 'identifier within its source';
COMMENT ON COLUMN run_failures.source IS 'reference, files, ...';
COMMENT ON COLUMN run_failures.working_ion IS 'element symbol of the ion that was asked for';
COMMENT ON COLUMN run_failures.stage IS 'stage at which it failed';
COMMENT ON COLUMN run_failures.reason IS 'why, in one word to group by';
COMMENT ON COLUMN run_failures.stage_key IS 'stage_key of the row in failures';

CREATE TABLE schema_migrations (
    version INTEGER NOT NULL CHECK (version >= 1),
    name VARCHAR NOT NULL,
    digest VARCHAR NOT NULL,
    applied_at TIMESTAMP NOT NULL,
    PRIMARY KEY (version, name)
);
COMMENT ON TABLE schema_migrations IS 'Migrations that were applied to this file, and the views that stand in it.';
COMMENT ON COLUMN schema_migrations.version IS 'number of the migration; for views, of the newest one';
COMMENT ON COLUMN schema_migrations.name IS 'name of the migration, or views';
COMMENT ON COLUMN schema_migrations.digest IS 'SHA-256 of the statements';
COMMENT ON COLUMN schema_migrations.applied_at IS 'when it was applied, UTC';
