"""The schema for people: every table, view and column with type, unit and meaning, as text and as a page."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import duckdb

from storage.records import ROW_TYPES
from storage.schema import migrate

# The ends of names that carry a unit; of two that fit the longer one counts.
UNITS = {
    "ev": "eV",
    "ev_ang": "eV/Å",
    "ang": "Å",
    "ang3": "Å³",
    "v": "V",
    "mah_g": "mAh/g",
    "k": "K",
    "hz": "Hz",
    "cm2_s": "cm²/s",
    "s": "s",
    "at": "UTC",
    "fraction": "0 to 1",
}

HEAD = """# The schema

Every table and view of a lihop database. This page is what this prints, and `lihop sql --schema` says the
same as text; neither needs a database:

```
lihop sql --schema --markdown
```

Units are in the names of columns. Null means unknown, and 0 never does. Views are what questions are asked
of ([questions.md](questions.md)); tables are what they are made from. Columns that together tell the rows of
a table apart are marked *key*.
"""


@dataclass(frozen=True)
class Column:
    """One column of a table or view; `unit` is empty where there is none."""

    name: str
    type: str
    unit: str
    key: bool
    meaning: str


@dataclass(frozen=True)
class Relation:
    """One table or view."""

    kind: str
    name: str
    meaning: str
    columns: tuple[Column, ...]


def relations() -> list[Relation]:
    """Return the tables and then the views of the schema that ships with this lihop, by name."""
    with duckdb.connect(":memory:") as connection:
        migrate(connection)
        found = connection.execute(
            "SELECT 'table', table_name, comment FROM duckdb_tables() "
            "UNION ALL SELECT 'view', view_name, comment FROM duckdb_views() WHERE NOT internal ORDER BY 1, 2"
        ).fetchall()
        columns = connection.execute(
            "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() "
            "WHERE NOT internal ORDER BY table_name, column_index"
        ).fetchall()
        keys = dict(
            connection.execute(
                "SELECT table_name, constraint_column_names FROM duckdb_constraints() "
                "WHERE constraint_type = 'PRIMARY KEY'"
            ).fetchall()
        )
    # Two tables have a key and no index over it, so that the row types tell.
    keys |= {table: row_type.key for table, row_type in ROW_TYPES.items()}
    return [
        Relation(
            kind,
            name,
            meaning,
            tuple(
                Column(column, type_, unit_of(column), column in keys.get(name, ()), text)
                for of, column, type_, text in columns
                if of == name
            ),
        )
        for kind, name, meaning in found
    ]


def unit_of(column: str) -> str:
    """Return the unit that a column's name carries, or nothing.

    Parameters
    ----------
    column : str
        A name such as ``barrier_ev``.

    Returns
    -------
    str
        The unit, such as ``eV``.
    """
    parts = column.split("_")
    # A name needs something before its unit: the column `k` alone would be no temperature.
    ends = ("_".join(parts[start:]) for start in range(1, len(parts)))
    return next((UNITS[end] for end in ends if end in UNITS), "")


def schema_records() -> list[dict[str, Any]]:
    """Return the tables and views as dicts that are ready for JSON."""
    return [asdict(relation) for relation in relations()]


def schema_text() -> str:
    """Return the tables and views with their columns, types and meanings, as text."""
    lines = []
    for relation in relations():
        lines.append(f"{relation.kind} {relation.name}: {relation.meaning}")
        lines += [f"    {column.name} {column.type}: {column.meaning}" for column in relation.columns]
        lines.append("")
    return "\n".join(lines)


def schema_page() -> str:
    """Return docs/schema.md: a section and a table a table and view, in Markdown."""
    found = relations()
    parts = [HEAD]
    for kind, heading in (("view", "Views"), ("table", "Tables")):
        own = [relation for relation in found if relation.kind == kind]
        links = ", ".join(f"[`{relation.name}`](#{relation.name})" for relation in own)
        parts.append(f"## {heading}\n\n{links}\n")
        for relation in own:
            parts.append(f"### `{relation.name}`\n\n{relation.meaning}\n")
            parts.append("| column | type | unit | meaning |\n|---|---|---|---|")
            parts += [_line(column) for column in relation.columns]
            parts.append("")
    return "\n".join(parts)


def _line(column: Column) -> str:
    """Return a row of the table; a bar within a cell would open another column."""
    meaning = f"{column.meaning} *key*" if column.key else column.meaning
    cells = (f"`{column.name}`", column.type, column.unit, meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
