"""A database of an earlier schema opens, keeps every row, and survives an upgrade that fails.

The fixture is what lihop 0.1.0 published: three reference materials that were screened along straight paths,
and two refinements of one hop.
"""

import gzip
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from storage import queries
from storage.columns import SCHEMA_VERSION
from storage.database import STORAGE_VERSION, reading
from storage.errors import StorageError
from storage.merging import NUMBER, NUMBERED, WITHOUT_KEY
from storage.published import KEPT
from storage.recorder import Recorder
from storage.records import ROW_TYPES, Hop
from storage.schema import Migration, migrations

FIXTURE = Path(__file__).with_name("fixtures") / "schema_1.duckdb.gz"
FILLED = {table: {"vacancy": ""} for table in ("hops", "predictions", "refinements")} | {
    "candidates": {"state": "discharged"}
}
KILLED = """
import os, sys, duckdb
from storage.schema import migrate, migrations
connection = duckdb.connect(sys.argv[1])
connection.execute("SET wal_autocheckpoint='1GB'")
if sys.argv[2] == "within":
    connection.execute("BEGIN")
    for step in migrations()[1:]:
        connection.execute(step.sql)
else:
    migrate(connection)
os._exit(9)
"""


@pytest.fixture
def recorder(tmp_path):
    """Return a recorder of a published copy of schema 1, with the working file that it was copied from."""
    recorder = Recorder(tmp_path / "old" / "lihop.duckdb")
    content = gzip.decompress(FIXTURE.read_bytes())
    recorder.paths.work.mkdir(parents=True)
    recorder.paths.working.write_bytes(content)
    return recorder


@pytest.fixture
def published(tmp_path):
    """Return a published copy of schema 1 that came without its working folder."""
    path = tmp_path / "copy" / "lihop.duckdb"
    path.parent.mkdir()
    path.write_bytes(gzip.decompress(FIXTURE.read_bytes()))
    return path


def _content(path):
    """Return the rows of every table as dicts, and the primary keys."""
    with closing(duckdb.connect(str(path), read_only=True)) as connection:
        rows = {}
        there = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        for table in there & set(ROW_TYPES):
            cursor = connection.execute(f"SELECT * FROM {table} ORDER BY ALL")
            names = [column[0] for column in cursor.description]
            rows[table] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        keys = connection.execute(
            "SELECT table_name, constraint_column_names FROM duckdb_constraints() "
            "WHERE constraint_type = 'PRIMARY KEY'"
        ).fetchall()
    assert there - set(ROW_TYPES) == {"schema_migrations"} | ({"structure_numbers", *KEPT} & there)
    return rows, {name: tuple(columns) for name, columns in keys}


def _is_schema_1(path):
    with closing(duckdb.connect(str(path), read_only=True)) as connection:
        steps = connection.execute("SELECT max(version) FROM schema_migrations").fetchone()
        names = {row[0] for row in connection.execute("DESCRIBE hops").fetchall()}
    return steps == (1,) and "vacancy" not in names


def _check_numbered(tables):
    """Take the numbers of structures out of the rows; each must be that of one structure, in their order."""
    numbers = {row["structure_hash"]: row.pop(NUMBER) for table in sorted(NUMBERED) for row in tables[table]}
    assert sorted(numbers.values()) == list(range(1, len(numbers) + 1))


def _check_upgraded(before, path):
    """Compare what is in a file now with what was in it, by old columns; say what the new ones hold."""
    after, keys = _content(path)
    _check_numbered(after)
    expected = {table: row_type.key for table, row_type in ROW_TYPES.items() if table not in WITHOUT_KEY}
    assert {table: key for table, key in keys.items() if table in ROW_TYPES} == expected
    assert all(after[table] == [] for table in ROW_TYPES.keys() - before.keys())
    for table, old in before.items():
        added = set(ROW_TYPES[table].model_fields) - set(old[0])
        assert set(after[table][0]) == set(ROW_TYPES[table].model_fields)
        assert len(after[table]) == len(old) > 0
        for row in old:
            expected = row | dict.fromkeys(added) | FILLED.get(table, {})
            assert after[table].count(expected) == 1


def test_a_working_file_is_upgraded_and_keeps_every_row(recorder):
    assert _is_schema_1(recorder.paths.working)
    before, _ = _content(recorder.paths.working)
    assert len(before["hops"]) == 23
    assert recorder.publish()
    for path in (recorder.paths.working, recorder.paths.published):
        _check_upgraded(before, path)
    with closing(duckdb.connect(":memory:")) as connection:
        connection.execute(f"ATTACH '{recorder.paths.published}' AS copy")
        (tags,) = connection.execute(
            "SELECT tags FROM duckdb_databases() WHERE database_name = 'copy'"
        ).fetchone()
    assert tags["storage_version"].startswith(STORAGE_VERSION)


def test_a_copy_without_its_folder_is_gone_on_from(published):
    before, _ = _content(published)
    recorder = Recorder(published)
    assert recorder.publish()
    _check_upgraded(before, published)


def test_old_rows_come_back_as_rows_and_are_known_again(recorder):
    before, _ = _content(recorder.paths.working)
    keys = {row["stage_key"] for row in before["stage_results"]}
    assert recorder.known_stage_keys(keys) == keys
    hops = recorder.rows_under(Hop, keys)
    assert [(hop.vacancy, hop.mechanism, hop.path_kind) for hop in hops] == [
        ("", "isolated", "straight")
    ] * 23
    assert {hop.path_converged for hop in hops} == {None}
    # The key still tells a row that is there: the same one is not recorded twice.
    recorder.record(rows=hops)
    assert recorder.rows_under(Hop, keys) == hops


def test_an_old_copy_is_read_with_todays_columns_and_left_alone(published):
    content = published.read_bytes()
    with closing(duckdb.connect(str(published), read_only=True)) as connection:
        expected = connection.execute("SELECT material_id, barrier_at_dim_ev FROM rankings").fetchall()
    found = queries.rankings(published)
    assert [(row["material_id"], row["barrier_at_dim_ev"]) for row in found] == expected
    assert len(expected) == 3
    assert [(row["path_converged"], row["flags"]) for row in found] == [(None, None)] * 3
    (row,) = queries.material(published, "ref-livpo4f")
    hops = queries.network_of(published, row["structure_hash"])
    assert [hop["vacancy"] for hop in hops] == [""] * 4
    assert [(hop["method"], hop["barrier_ev"]) for hop in hops if hop["converged"]] == [("chgnet-neb", 0.5)]
    with pytest.raises(queries.QueryError, match="read-only"):
        queries.sql(published, "DELETE FROM hops")
    assert published.read_bytes() == content
    assert [path.name for path in published.parent.iterdir()] == ["lihop.duckdb"]


def test_no_room_for_the_temporary_copy_is_named(published, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(published.parent / "absent"))
    with pytest.raises(StorageError, match=r"older lihop.*TMPDIR"), reading(published):
        pass


def test_an_upgrade_that_fails_loses_nothing(recorder, monkeypatch):
    before = _content(recorder.paths.working)
    good = migrations()
    bad = Migration(SCHEMA_VERSION, good[-1].name, f"{good[-1].sql}\nSELECT no_such_function();")
    with monkeypatch.context() as patched:
        patched.setattr("storage.schema.migrations", lambda: [*good[:-1], bad])
        with pytest.raises(duckdb.CatalogException, match="no_such_function"):
            recorder.publish()
    assert _content(recorder.paths.working) == before
    assert _is_schema_1(recorder.paths.working)
    assert not recorder.paths.published.exists()
    assert recorder.publish()
    _check_upgraded(before[0], recorder.paths.working)


@pytest.mark.parametrize("moment", ["within", "after"])
def test_a_kill_during_the_upgrade_loses_nothing(recorder, moment):
    before, _ = _content(recorder.paths.working)
    command = [sys.executable, "-c", KILLED, str(recorder.paths.working), moment]
    assert subprocess.run(command, check=False).returncode == 9
    assert recorder.publish()
    _check_upgraded(before, recorder.paths.published)


def test_new_hops_stand_beside_old_ones(recorder):
    before, _ = _content(recorder.paths.working)
    keys = {row["stage_key"] for row in before["hops"]}
    old = recorder.rows_under(Hop, keys)[0]
    changes = {"vacancy": "1_0_-1_0", "mechanism": "divacancy", "edge_id": f"{old.edge_id}_v1_0_-1_0"}
    recorder.record(rows=[old.model_copy(update=changes)])
    assert len(recorder.rows_under(Hop, keys)) == 24


def test_the_fixture_is_of_an_earlier_schema(published):
    assert _is_schema_1(published)
    assert SCHEMA_VERSION > 1
