"""The schema page is what the database says of itself, and names carry the units that comments tell."""

import re
from pathlib import Path

import pytest

from storage.catalog import UNITS, relations, schema_page, schema_records, schema_text, unit_of
from storage.records import ROW_TYPES

PAGE = Path(__file__).parents[2] / "docs" / "schema.md"
IN_COMMENTS = {"eV/Å": "eV/angstrom", "Å": "angstrom", "Å³": "cubic angstrom", "cm²/s": "cm2/s"}


def test_the_page_is_made_from_the_database():
    """Print it anew when this fails: lihop sql --schema --markdown > docs/schema.md."""
    assert PAGE.read_text(encoding="utf-8") == schema_page()


def test_every_table_and_column_has_a_line():
    sections = re.split(r"^### ", schema_page(), flags=re.MULTILINE)
    by_name = {section.split("`")[1]: section for section in sections[1:]}
    assert set(by_name) == {relation.name for relation in relations()} >= set(ROW_TYPES)
    for relation in relations():
        lines = [line for line in by_name[relation.name].splitlines() if line.startswith("| `")]
        assert [line.split("`")[1] for line in lines] == [column.name for column in relation.columns]
        assert all(len(re.findall(r"(?<!\\)\|", line)) == 5 for line in lines)


def test_primary_keys_are_marked():
    found = {one.name: {column.name for column in one.columns if column.key} for one in relations()}
    assert {table: found[table] for table in ROW_TYPES} == {
        table: set(row_type.key) for table, row_type in ROW_TYPES.items()
    }
    assert found["rankings"] == set()


@pytest.mark.parametrize(
    ("column", "unit"),
    [
        ("barrier_ev", "eV"), ("residual_force_ev_ang", "eV/Å"), ("volume_ang3", "Å³"),
        ("average_voltage_v", "V"), ("capacity_mah_g", "mAh/g"), ("diffusivity_cm2_s", "cm²/s"),
        ("duration_s", "s"), ("started_at", "UTC"), ("barrier_1d_ev", "eV"), ("n_hops", ""),
        ("edge_id", ""), ("k", ""), ("domain_distance", ""),
    ],
)  # fmt: skip
def test_units_are_read_from_names(column, unit):
    assert unit_of(column) == unit


def _tells(text, unit):
    """Tell whether a text holds a unit as a word of its own."""
    return re.search(rf"(?<!\w){re.escape(unit)}(?!\w)", text) is not None


def test_comments_tell_the_units_that_names_carry():
    silent = [
        f"{relation.name}.{column.name}: {column.meaning}"
        for relation in relations()
        for column in relation.columns
        if column.unit not in {"", UNITS["fraction"]}
        and not _tells(column.meaning, IN_COMMENTS.get(column.unit, column.unit))
    ]
    assert silent == []


def test_text_and_records_tell_the_same():
    text = schema_text()
    for relation in schema_records():
        assert f"{relation['kind']} {relation['name']}: {relation['meaning']}" in text
        for column in relation["columns"]:
            assert f"    {column['name']} {column['type']}: {column['meaning']}" in text
    assert "view rankings: A row a material" in text
    assert "    barrier_at_dim_ev DOUBLE: the minimax barrier at percolation_dim, eV" in text
