"""Questions get their answers, and no statement reaches beyond the published copy."""

import json
import time

import pytest

from storage import queries
from storage.errors import QueryError
from storage.recorder import Recorder


@pytest.fixture(scope="module")
def db(tmp_path_factory, make):
    recorder = Recorder(tmp_path_factory.mktemp("published") / "lihop.duckdb")
    failure = make.failure("m9")
    recorder.record(
        rows=[
            make.run("r1", day=0), make.run("r2", day=1), failure, make.run_failure(failure, "r2"),
            *make.material("m1", 0.3, name="olivine LiFePO4", capacity_mah_g=170.0),
            *make.material("m2", 0.2, formula="LiCoO2", name="layered LiCoO2"),
            *make.material("m3", 0.6, formula="LiCoO2", name=None, source="files", capacity_mah_g=100.0),
        ]
    )  # fmt: skip
    recorder.publish()
    return recorder.paths.published


def test_rankings_by_any_column(db):
    assert [row["material_id"] for row in queries.rankings(db, limit=2)] == ["m2", "m1"]
    by_capacity = queries.rankings(db, by="capacity_mah_g", ascending=False)
    assert [row["material_id"] for row in by_capacity] == ["m1", "m3", "m2"]


@pytest.mark.parametrize("by", ["barier", 'rank"; DROP', "", "structure_json"])
def test_an_unknown_column_lists_those_there_are(db, by):
    with pytest.raises(QueryError, match="allowed are rank, formula"):
        queries.rankings(db, by=by)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("m1", ["m1"]), ("hash-m2", ["m2"]), ("LiFePO4", ["m1"]), ("licoo2", ["m2", "m3"]),
        ("Layered LiCoO2", ["m2"]), ("olivine", ["m1"]), ("100%", []), ("x' OR 1=1", []),
    ],
)  # fmt: skip
def test_a_material_is_found_by_what_people_type(db, query, expected):
    assert [row["material_id"] for row in queries.material(db, query)] == expected


@pytest.mark.parametrize(("first", "later"), [("m1", "a-file.cif"), ("m1", "z-file.cif")])
def test_a_material_goes_by_the_names_of_all_that_were_merged(tmp_path, make, first, later):
    recorder = Recorder(tmp_path / "lihop.duckdb")
    recorder.record(
        rows=[
            make.run("r1", day=0), make.run("r2", day=1), *make.material(first, 0.3, name="olivine"),
            *make.material("m2", 0.2, formula="LiCoO2", name="layered"),
            # The same crystal as a file, and in a cell that was merged into it.
            make.candidate(later, structure_hash=f"hash-{first}", material_key=f"hash-{first}",
                           source="files", name=None),
            make.run_material("r2", first, material_id=later),
            make.candidate("supercell", material_key=f"hash-{first}", formula="Li2Fe2P2O8", name="twice"),
        ]
    )  # fmt: skip
    recorder.publish()
    db = recorder.paths.published
    assert [row["material_id"] for row in queries.rankings(db)] == ["m2", later]
    names = (first, later, "supercell", "hash-supercell", "OLIVINE", "olivi", "twice", "li2fe2p2o8")
    for name in names:
        (row,) = queries.material(db, name)
        assert row["material_id"] == later
        assert row["all_ids"] == ",".join(sorted([first, later, "supercell"]))
    assert [row["all_ids"] for row in queries.material(db, "m2")] == ["m2"]


def test_the_same_structure_with_another_ion_is_another_material(tmp_path, make):
    recorder = Recorder(tmp_path / "lihop.duckdb")
    recorder.record(
        rows=[
            make.candidate("as-li", structure_hash="h", material_key="h"),
            make.candidate("as-na", structure_hash="h", material_key="h", working_ion="Na"),
        ]
    )
    recorder.publish()
    (row,) = queries.material(recorder.paths.published, "as-na")
    assert (row["working_ion"], row["all_ids"]) == ("Na", "as-na")


def test_columns_of_one_name_keep_their_values(db):
    answer = queries.sql(db, "SELECT 1 AS a, 2 AS a, 3 AS a_1, 4 AS a, 5 AS b")
    assert answer.columns == ("a", "a_2", "a_1", "a_3", "b")
    assert answer.records() == [{"a": 1, "a_2": 2, "a_1": 3, "a_3": 4, "b": 5}]
    assert queries.sql(db, "SELECT 1 AS a, 2 AS a").columns == ("a", "a_1")


def test_no_name_is_no_question(db):
    with pytest.raises(QueryError, match="no material was named"):
        queries.material(db, "  ")


def test_answers_are_ready_for_json(db):
    answers = [
        queries.rankings(db), queries.candidates(db), queries.runs(db), queries.failures(db),
        queries.hops_of(db, "hash-m1"), queries.predictions_of(db, "hash-m1"),
        queries.percolation_of(db, "hash-m1"),
        queries.sql(db, "SELECT 'nan'::DOUBLE, 1.5::DECIMAL(4,2), DATE '2026-01-02', 'x'::BLOB, "
                        "uuid(), [1, NULL], {'a': 1}, INTERVAL 1 DAY, MAP {'k': 2}").records(),
    ]  # fmt: skip
    assert json.loads(json.dumps(answers, allow_nan=False)) == answers


def test_rows_of_one_material(db):
    assert [hop["distance_ang"] for hop in queries.hops_of(db, "hash-m1", "Li")] == [3.1, 3.2]
    assert queries.hops_of(db, "hash-m1", "Na") == []
    assert queries.percolation_of(db, "hash-m1")[0]["directions_1d"] == [[0, 1, 0]]
    assert queries.structure_of(db, "hash-m1") == "{}"
    assert queries.structure_of(db, "absent") is None
    assert queries.charges_of(db, "hash-m1") == [1.0, 2.0]
    assert queries.charges_of(db, "absent") is None


def test_a_network_holds_all_that_is_stored_of_its_hops(tmp_path, make):
    recorder = Recorder(tmp_path / "lihop.duckdb")
    hops = [make.hop(j=1), make.described_hop(j=1)]
    older = make.described_hop(j=1, stage_key="hops-older", path_length_ang=9.0)
    recorder.record(
        rows=[make.run(), make.candidate(), make.run_material(), older, *hops, make.prediction(j=1)]
    )
    recorder.publish()
    found = queries.network_of(recorder.paths.published, "hash-m1", "Li")
    stored = [hop.model_dump(exclude={"stage_key"}) for hop in hops]
    assert [{name: hop[name] for name in stored[0]} for hop in found] == stored
    assert [hop["barrier_ev"] for hop in found] == [0.3, None]
    assert [hop["path_residual_force_ev_ang"] for hop in found] == [None, 0.01]
    assert queries.network_of(recorder.paths.published, "hash-m1", "Na") == []
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_candidates_by_source(db):
    assert [row["material_id"] for row in queries.candidates(db, source="files")] == ["m3"]
    assert "structure_json" not in queries.candidates(db, limit=1)[0]


def test_failures_by_reason_and_run(db):
    assert len(queries.failures(db, reason="time_limit", run="latest")) == 1
    assert queries.failures(db, run="r1") == []
    assert queries.failures(db, stage="percolation") == []
    assert queries.failures(db, limit=0) == []


def test_sql_answers_and_says_when_there_is_more(db):
    answer = queries.sql(db, "SELECT material_id, barrier_at_dim_ev FROM rankings", limit=2)
    assert answer.columns == ("material_id", "barrier_at_dim_ev")
    assert answer.rows == (("m2", 0.2), ("m1", 0.3))
    assert answer.truncated
    assert not queries.sql(db, "FROM rankings", limit=3).truncated
    with pytest.raises(QueryError, match="negative"):
        queries.sql(db, "FROM rankings", limit=-1)


@pytest.mark.parametrize("statement", ["SHOW TABLES", "DESCRIBE rankings", "EXPLAIN SELECT 1", "VALUES (1)"])
def test_sql_answers_every_kind_of_read(db, statement):
    assert queries.sql(db, statement).rows


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO runs SELECT * FROM runs",
        "WITH x AS (SELECT 1) DELETE FROM runs",
        "UPDATE runs SET name = 'x'",
        "DROP TABLE runs",
        "CREATE TABLE x (i INTEGER)",
        "CREATE TEMP TABLE x (i INTEGER)",
        "CREATE TABLE memory.x (i INTEGER)",
        "EXPLAIN ANALYZE INSERT INTO models SELECT * FROM models",
        "EXPLAIN ANALYZE COPY runs TO '{outside}'",
        "ATTACH '{outside}'",
        "COPY runs TO '{outside}'",
        "COPY runs FROM '{secret}'",
        "EXPORT DATABASE '{outside}'",
        "SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM '{secret}'",
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM glob('{folder}/*')",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "PRAGMA enable_external_access = true",
        "RESET enable_external_access",
        "USE memory",
        "DETACH lihop",
        "PREPARE x AS SELECT 1",
        "CALL pragma_version()",
        "SELECT 1; SELECT 2",
        "",
        "SELEC 1",
        "SELECT no_such_column FROM rankings",
    ],
)
def test_sql_does_nothing_but_read(db, statement, tmp_path):
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n1,2\n")
    before = db.read_bytes()
    folders = (tmp_path, db.parent)
    files = [sorted(folder.iterdir()) for folder in folders]
    with pytest.raises(QueryError):
        queries.sql(db, statement.format(outside=tmp_path / "outside", secret=secret, folder=tmp_path))
    assert db.read_bytes() == before
    assert [sorted(folder.iterdir()) for folder in folders] == files


def test_sql_gives_up_in_time(db):
    started = time.monotonic()
    with pytest.raises(QueryError, match=r"longer than 0\.2 s"):
        queries.sql(db, "SELECT count(*) FROM range(10000000000) AS a, range(1000) AS b", time_limit_s=0.2)
    assert time.monotonic() - started < 20
