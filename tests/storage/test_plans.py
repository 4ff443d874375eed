"""A question about one material reads no other: its filter reaches every large table below a view."""

import json

import duckdb
import pytest

from flows.bench.generated import Block, hash_of, tables
from flows.bench.recording import run_row
from storage.database import reading
from storage.recorder import Recorder
from storage.shards import write_shard

# Of hops and predictions DuckDB passes over the row groups whose numbers of structures lie elsewhere.
NUMBERED = {"hops", "predictions"}
LARGE = {"refinements", "percolation", "run_materials", "candidates", "published_results"}
BY_STRUCTURE = (
    "latest_results", "hop_barriers", "hop_methods", "rate_limiting_hops", "method_disagreements",
    "outside_domain", "hop_rates", "diffusivities", "run_results",
)  # fmt: skip
OF_HOPS = [view for view in BY_STRUCTURE if view not in {"latest_results", "run_results"}]
ROW_GROUPS, MATERIALS = 4, 20_000


@pytest.fixture
def connection(publish, make):
    """Return a connection to a database with rows that differ in every large table, so that filters stay."""
    rows = [row for name in "abcdefgh" for row in make.material(name, 0.3)]
    rows += [make.refinement(name) for name in "abcdefgh"]
    db = publish([make.run("r1", day=0), make.run("r2", day=1), make.run_material("r2", "a"), *rows])
    with reading(db) as connection:
        yield connection


def _scans(connection: duckdb.DuckDBPyConnection, statement):
    """Return the table and the filters of every scan in a plan."""
    plan = json.loads(connection.execute(f"EXPLAIN (FORMAT JSON) {statement}").fetchall()[0][1])
    found, left = [], list(plan)
    while left:
        node = left.pop()
        left += node["children"]
        table = node["extra_info"].get("Table", "").split(".")[-1]
        if table in LARGE:
            found.append((table, str(node["extra_info"].get("Filters", ""))))
    return found


@pytest.mark.parametrize("view", BY_STRUCTURE)
def test_the_structure_is_filtered_where_it_is_read(connection, view):
    scans = _scans(connection, f"SELECT * FROM {view} WHERE structure_hash = 'hash-d'")
    assert scans
    assert [table for table, filters in scans if "structure_hash = 'hash-d'" not in filters] == []


@pytest.mark.parametrize("view", ["hop_methods", "rate_limiting_hops", "outside_domain", "diffusivities"])
def test_the_identifier_is_filtered_where_it_is_read(connection, view):
    scans = _scans(connection, f"SELECT * FROM {view} WHERE material_id = 'd'")
    filtered = [filters for table, filters in scans if table == "published_results"]
    assert filtered
    assert all("material_id = 'd'" in filters for filters in filtered)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Return a connection to a database whose hops fill several row groups."""
    folder = tmp_path_factory.mktemp("many")
    recorder = Recorder(folder / "lihop.duckdb")
    recorder.start_run(run_row())
    given = tables(Block(0, MATERIALS))
    recorder.record([write_shard(folder / f"{table}.parquet", rows, table) for table, rows in given.items()])
    recorder.publish()
    with reading(folder / "lihop.duckdb") as connection:
        yield connection


def _scanned(connection, statement):
    """Return the table and the measured facts of every scan that a question made."""
    profile = json.loads(connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}").fetchall()[0][1])
    found, left = [], list(profile["operator"])
    while left:
        node = left.pop()
        left += node.get("children", [])
        if "Table" in node["extra_info"]:
            found.append((node["extra_info"]["Table"].split(".")[-1], node))
    return found


def _row_groups(connection, statement):
    """Return the table, the row groups read and those there are, of every scan of a numbered table."""
    return [
        (table, node["row_groups_scanned"], node["total_row_groups_to_scan"])
        for table, node in _scanned(connection, statement)
        if table in NUMBERED
    ]


@pytest.mark.parametrize("view", OF_HOPS)
@pytest.mark.parametrize("column", ["structure_hash", "material_id"])
def test_only_row_groups_of_the_material_are_read(many, view, column):
    (name,) = Block(MATERIALS // 3, 1).names
    value = hash_of(name) if column == "structure_hash" else name
    scans = _row_groups(many, f"SELECT * FROM {view} WHERE {column} = '{value}'")
    # Where all predictions lie in the domain, none of those outside it is looked for.
    assert {table for table, *_ in scans} == (NUMBERED if view != "outside_domain" else {"hops"})
    assert all(read <= ROW_GROUPS / 2 and there >= ROW_GROUPS for _, read, there in scans), scans


@pytest.mark.parametrize("view", ["run_results", "run_findings"])
def test_what_took_part_in_runs_is_found_by_its_index(many, view):
    (name,) = Block(MATERIALS // 3, 1).names
    scans = _scanned(many, f"SELECT * FROM {view} WHERE structure_hash = '{hash_of(name)}'")
    assert [node["extra_info"]["Type"] for table, node in scans if table == "run_materials"] == ["Index Scan"]


def test_reading_all_row_groups_is_told(many):
    scans = _row_groups(many, "SELECT count(barrier_ev) FROM hop_barriers")
    assert {table for table, *_ in scans} == NUMBERED
    assert all(read == there >= ROW_GROUPS for _, read, there in scans), scans


def test_a_plan_that_reads_all_is_told(connection):
    scans = _scans(connection, "SELECT * FROM live_rankings WHERE structure_hash = 'hash-d'")
    assert any("structure_hash = 'hash-d'" not in filters for _, filters in scans)


def test_the_run_is_filtered_where_it_is_read(connection):
    scans = _scans(connection, "SELECT * FROM run_results WHERE run_id = 'r1'")
    assert any(table == "run_materials" and "run_id = 'r1'" in filters for table, filters in scans)
