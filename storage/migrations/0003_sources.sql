-- Candidates from remote databases: the state of charge becomes part of a candidate's key, candidates carry what
-- databases know of them, and what was synced is kept. A primary key changes only by making the table anew, so
-- candidates are put aside, made, filled and dropped; rows from before are of discharged hosts.

ALTER TABLE candidates RENAME TO candidates_of_schema_2;
CREATE TABLE candidates (
    structure_hash VARCHAR NOT NULL,
    material_id VARCHAR NOT NULL,
    material_key VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    source_ref VARCHAR,
    formula VARCHAR NOT NULL,
    name VARCHAR,
    working_ion VARCHAR NOT NULL,
    state VARCHAR NOT NULL DEFAULT 'discharged' CHECK (state IN ('discharged', 'charged')),
    ordering VARCHAR,
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
    other_ids VARCHAR[],
    max_delta_volume_fraction DOUBLE,
    stability_charge_ev DOUBLE,
    stability_discharge_ev DOUBLE,
    band_gap_ev DOUBLE,
    origin VARCHAR,
    last_updated_at TIMESTAMP,
    database_version VARCHAR,
    licence VARCHAR,
    content_hash VARCHAR,
    first_seen_at TIMESTAMP,
    last_seen_at TIMESTAMP,
    stage_key VARCHAR NOT NULL,
    PRIMARY KEY (source, material_id, structure_hash, working_ion, state)
);
INSERT INTO candidates BY NAME SELECT * FROM candidates_of_schema_2;
DROP TABLE candidates_of_schema_2;
COMMENT ON TABLE candidates IS 'A material that may be screened: one cleaned structure, and where it came from.';
COMMENT ON COLUMN candidates.structure_hash IS 'digest of the cleaned structure, in its stored site order';
COMMENT ON COLUMN candidates.material_id IS 'identifier within its source';
COMMENT ON COLUMN candidates.material_key IS 'structure_hash of the material that this one was merged into; its own when it stands for itself';
COMMENT ON COLUMN candidates.source IS 'reference, files, mp, ...';
COMMENT ON COLUMN candidates.source_ref IS 'DOI, database id or relative file path; null when unknown';
COMMENT ON COLUMN candidates.formula IS 'reduced formula';
COMMENT ON COLUMN candidates.name IS 'what people call it, e.g. olivine LiFePO4';
COMMENT ON COLUMN candidates.working_ion IS 'element symbol of the ion that moves';
COMMENT ON COLUMN candidates.state IS 'discharged: the host as it is; charged: a single working ion kept in the topotactic host';
COMMENT ON COLUMN candidates.ordering IS 'how a disordered structure was ordered; null when it was ordered as given';
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
COMMENT ON COLUMN candidates.other_ids IS 'other spellings of the identifier, and further identifiers of the same entry';
COMMENT ON COLUMN candidates.max_delta_volume_fraction IS 'largest volume change between charge and discharge, as a fraction; null means unknown';
COMMENT ON COLUMN candidates.stability_charge_ev IS 'energy above the convex hull of the charged material, eV an atom; null means unknown';
COMMENT ON COLUMN candidates.stability_discharge_ev IS 'energy above the convex hull of the discharged material, eV an atom; null means unknown';
COMMENT ON COLUMN candidates.band_gap_ev IS 'band gap that the database gives, eV; null means unknown';
COMMENT ON COLUMN candidates.origin IS 'where the database has it from: experiment (a collection''s id) or theory; null means unknown';
COMMENT ON COLUMN candidates.last_updated_at IS 'when the database last changed it, UTC; null means unknown';
COMMENT ON COLUMN candidates.database_version IS 'version of the database that its content was fetched from';
COMMENT ON COLUMN candidates.licence IS 'SPDX identifier of the licence that it comes under; null means unknown';
COMMENT ON COLUMN candidates.content_hash IS 'digest of the content of the source item that it was made from';
COMMENT ON COLUMN candidates.first_seen_at IS 'when a screening first met it in its source, UTC; null before this was kept';
COMMENT ON COLUMN candidates.last_seen_at IS 'when a screening last met it in its source, UTC; null before this was kept';
COMMENT ON COLUMN candidates.stage_key IS 'digest of the source item and of the cleaning that made this row';

ALTER TABLE runs ADD COLUMN database_version VARCHAR;
ALTER TABLE runs ADD COLUMN citation VARCHAR;
COMMENT ON COLUMN runs.database_version IS 'version of the remote database that its candidates came from; null when there is none';
COMMENT ON COLUMN runs.citation IS 'how to cite what its candidates came from';

CREATE TABLE source_entries (
    source VARCHAR NOT NULL,
    entry_id VARCHAR NOT NULL,
    index_digest VARCHAR,
    content_hash VARCHAR,
    licence VARCHAR,
    aliases VARCHAR[] NOT NULL,
    database_version VARCHAR,
    first_seen_at TIMESTAMP NOT NULL,
    last_seen_at TIMESTAMP NOT NULL,
    changed_at TIMESTAMP,
    vanished_at TIMESTAMP,
    PRIMARY KEY (source, entry_id)
);
COMMENT ON TABLE source_entries IS 'An entry of a remote database as it was last fetched; its content lies in a file named by its hash.';
COMMENT ON COLUMN source_entries.source IS 'name of the source: mp, optimade, ...';
COMMENT ON COLUMN source_entries.entry_id IS 'identifier in its one normal spelling';
COMMENT ON COLUMN source_entries.index_digest IS 'digest of what the index said of it; null where it must be fetched anew';
COMMENT ON COLUMN source_entries.content_hash IS 'digest of its content, which names the file; null when none could be used';
COMMENT ON COLUMN source_entries.licence IS 'SPDX identifier of the licence that it comes under; null means unknown';
COMMENT ON COLUMN source_entries.aliases IS 'other spellings of its identifier that the database used';
COMMENT ON COLUMN source_entries.database_version IS 'version of the database that its content was fetched from; null where it states none';
COMMENT ON COLUMN source_entries.first_seen_at IS 'when a sync first found it, UTC';
COMMENT ON COLUMN source_entries.last_seen_at IS 'when a sync last found it, UTC';
COMMENT ON COLUMN source_entries.changed_at IS 'when its content was found to be new or changed, UTC; null without content';
COMMENT ON COLUMN source_entries.vanished_at IS 'when the last query that had selected it no longer found it, UTC; null while one does';

CREATE TABLE source_members (
    source VARCHAR NOT NULL,
    query_digest VARCHAR NOT NULL,
    entry_id VARCHAR NOT NULL,
    sync_id VARCHAR NOT NULL,
    vanished_at TIMESTAMP,
    PRIMARY KEY (source, query_digest, entry_id)
);
COMMENT ON TABLE source_members IS 'An entry that a query selects, or selected.';
COMMENT ON COLUMN source_members.source IS 'name of the source: mp, optimade, ...';
COMMENT ON COLUMN source_members.query_digest IS 'digest of the query, which stands in full in syncs';
COMMENT ON COLUMN source_members.entry_id IS 'identifier in its one normal spelling';
COMMENT ON COLUMN source_members.sync_id IS 'sync that last found it';
COMMENT ON COLUMN source_members.vanished_at IS 'when the query no longer found it, UTC; null while it does';

CREATE TABLE syncs (
    sync_id VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    query_digest VARCHAR NOT NULL,
    query_json VARCHAR NOT NULL,
    database_version VARCHAR,
    started_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP,
    status VARCHAR NOT NULL CHECK (status IN ('running', 'completed', 'failed')),
    n_total INTEGER NOT NULL CHECK (n_total >= 0),
    n_new INTEGER NOT NULL CHECK (n_new >= 0),
    n_changed INTEGER NOT NULL CHECK (n_changed >= 0),
    n_unchanged INTEGER NOT NULL CHECK (n_unchanged >= 0),
    n_vanished INTEGER NOT NULL CHECK (n_vanished >= 0),
    n_quarantined INTEGER NOT NULL CHECK (n_quarantined >= 0),
    citation VARCHAR,
    PRIMARY KEY (sync_id)
);
COMMENT ON TABLE syncs IS 'One sync of one query, and what it found.';
COMMENT ON COLUMN syncs.sync_id IS 'identifier of the sync';
COMMENT ON COLUMN syncs.source IS 'name of the source: mp, optimade, ...';
COMMENT ON COLUMN syncs.query_digest IS 'digest of the query';
COMMENT ON COLUMN syncs.query_json IS 'what the database was asked for, as JSON';
COMMENT ON COLUMN syncs.database_version IS 'version that the database stated; null where it states none';
COMMENT ON COLUMN syncs.started_at IS 'when it started, UTC';
COMMENT ON COLUMN syncs.finished_at IS 'when it finished, UTC; null while it runs or when it was killed';
COMMENT ON COLUMN syncs.status IS 'running, completed or failed';
COMMENT ON COLUMN syncs.n_total IS 'entries that the query selects';
COMMENT ON COLUMN syncs.n_new IS 'of these, entries that were not in the store';
COMMENT ON COLUMN syncs.n_changed IS 'of these, entries whose content is another one than before';
COMMENT ON COLUMN syncs.n_unchanged IS 'of these, entries that stayed as they were';
COMMENT ON COLUMN syncs.n_vanished IS 'entries that the query selected before and no longer does';
COMMENT ON COLUMN syncs.n_quarantined IS 'entries that cannot be used; failures says why';
COMMENT ON COLUMN syncs.citation IS 'how to cite what it gave';
