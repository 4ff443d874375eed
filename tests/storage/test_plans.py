"""A question about one structure reads no other: its filter reaches every large table below a view."""

import json

import duckdb
import pytest

from storage.database import reading

LARGE = {"hops", "predictions", "refinements", "percolation", "run_materials", "candidates"}
BY_STRUCTURE = (
    "latest_results", "hop_barriers", "hop_methods", "rate_limiting_hops", "method_disagreements",
    "outside_domain", "hop_rates", "diffusivities", "run_results",
)  # fmt: skip


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
    filtered = [filters for table, filters in scans if table == "hops"]
    assert filtered
    assert all("material_id = 'd'" in filters for filters in filtered)


def test_a_plan_that_reads_all_is_told(connection):
    scans = _scans(connection, "SELECT * FROM live_rankings WHERE structure_hash = 'hash-d'")
    assert any("structure_hash = 'hash-d'" not in filters for _, filters in scans)


def test_the_run_is_filtered_where_it_is_read(connection):
    scans = _scans(connection, "SELECT * FROM run_results WHERE run_id = 'r1'")
    assert any(table == "run_materials" and "run_id = 'r1'" in filters for table, filters in scans)
