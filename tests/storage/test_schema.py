"""The DDL is what the row types say, all is explained, and files of other versions are told apart."""

from datetime import UTC, datetime

import duckdb
import pytest

from storage.columns import SCHEMA_VERSION, arrow_schema
from storage.errors import NewerSchemaError, SchemaMismatchError
from storage.merging import NUMBER, NUMBERED, WITHOUT_KEY
from storage.published import KEPT
from storage.records import ROW_TYPES
from storage.schema import Migration, migrate, migrations, views

RELIED_ON = {
    "runs", "candidates", "hops", "predictions", "percolation", "refinements", "failures", "models",
    "schema_migrations", "rankings", "hop_barriers", "run_summary",
}  # fmt: skip


@pytest.fixture
def migrated():
    with duckdb.connect(":memory:") as connection:
        migrate(connection)
        yield connection


def _described(connection, table):
    return {row[0]: (row[1], row[2] == "YES") for row in connection.execute(f"DESCRIBE {table}").fetchall()}


@pytest.mark.parametrize("table", ROW_TYPES)
def test_columns_equal_fields_in_order(migrated, table):
    row_type = ROW_TYPES[table]
    found = _described(migrated, table)
    if table in NUMBERED:
        assert found.pop(NUMBER) == ("BIGINT", True)
    assert list(found) == list(row_type.model_fields)
    empty = arrow_schema(row_type).empty_table()
    migrated.register("empty", empty)
    expected = _described(migrated, "empty")
    assert {name: kind for name, (kind, _) in found.items()} == {
        name: kind for name, (kind, _) in expected.items()
    }
    assert {name: nullable for name, (_, nullable) in found.items()} == {
        field.name: field.nullable for field in arrow_schema(row_type)
    }


@pytest.mark.parametrize("table", ROW_TYPES)
def test_primary_keys_equal_row_keys(migrated, table):
    found = migrated.execute(
        "SELECT constraint_column_names FROM duckdb_constraints() "
        "WHERE table_name = ? AND constraint_type = 'PRIMARY KEY'",
        [table],
    ).fetchall()
    expected = [] if table in WITHOUT_KEY else [ROW_TYPES[table].key]
    assert [tuple(row[0]) for row in found] == expected


def test_no_table_without_a_row_type(migrated):
    found = {row[0] for row in migrated.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    assert found == set(ROW_TYPES) | {"schema_migrations", "structure_numbers"} | set(KEPT)


@pytest.mark.parametrize(("table", "view"), KEPT.items())
def test_what_is_kept_has_the_columns_of_its_view(migrated, table, view):
    assert _described(migrated, table).keys() == _described(migrated, view).keys()


def test_what_users_rely_on_is_there(migrated):
    found = {row[0] for row in migrated.execute("SHOW TABLES").fetchall()}
    assert found >= RELIED_ON


def test_everything_is_explained(migrated):
    silent = migrated.execute(
        "SELECT table_name, column_name FROM duckdb_columns() "
        "WHERE NOT internal AND (comment IS NULL OR comment = '')"
    ).fetchall()
    assert silent == []
    relations = migrated.execute(
        "SELECT comment FROM duckdb_tables() UNION ALL SELECT comment FROM duckdb_views() WHERE NOT internal"
    ).fetchall()
    assert all(row[0] for row in relations)


def test_versions_count_up_to_the_one_that_shards_carry():
    assert [step.version for step in migrations()] == list(range(1, SCHEMA_VERSION + 1))


def test_migrating_twice_changes_nothing(migrated):
    assert migrate(migrated) == []


def test_changed_views_are_made_anew(migrated):
    migrated.execute("UPDATE schema_migrations SET digest = 'old' WHERE name = 'views'")
    assert migrate(migrated) == [views().name]
    assert migrate(migrated) == []


def test_a_newer_file_is_refused(migrated):
    now = datetime(2030, 1, 1, tzinfo=UTC)
    migrated.execute("INSERT INTO schema_migrations VALUES (99, '0099_later', 'x', ?)", [now])
    with pytest.raises(NewerSchemaError, match="schema version 99; this lihop knows versions up to"):
        migrate(migrated)


def test_an_altered_migration_is_refused(migrated):
    migrated.execute("UPDATE schema_migrations SET digest = 'other' WHERE name <> 'views'")
    with pytest.raises(SchemaMismatchError, match="0001_initial"):
        migrate(migrated)


def test_a_foreign_database_is_refused():
    with duckdb.connect(":memory:") as connection:
        connection.execute("CREATE TABLE theirs (x INTEGER)")
        with pytest.raises(SchemaMismatchError, match="theirs"):
            migrate(connection)


def test_a_failing_step_leaves_nothing(migrated):
    steps = [
        *migrations(),
        Migration(
            SCHEMA_VERSION + 1, "9999_bad", "CREATE TABLE extra (x INTEGER); SELECT no_such_function();"
        ),
    ]
    with pytest.raises(duckdb.Error):
        migrate(migrated, steps)
    assert "extra" not in {row[0] for row in migrated.execute("SHOW TABLES").fetchall()}
    assert migrate(migrated) == []


def test_an_older_file_is_brought_up(migrated):
    more = Migration(SCHEMA_VERSION + 1, "9999_more", "ALTER TABLE models ADD COLUMN note VARCHAR;")
    assert migrate(migrated, [*migrations(), more]) == ["9999_more", "views"]
    assert "note" in _described(migrated, "models")
