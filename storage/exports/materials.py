"""Which materials an export is of, and the cleaned structures that the database holds of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from storage.asking import Record, ask
from storage.errors import QueryError
from storage.queries import material_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import duckdb
    from ase import Atoms
    from pymatgen.core import Structure

IDENTITY = (
    "material_id", "formula", "name", "source", "working_ion", "state", "structure_hash", "material_key",
    "all_ids", "ordering", "database_version", "licence",
)  # fmt: skip
"""What a structure is known by: columns of the view `rankings`."""

CHARGE = "oxidation_state"
"""Name of the charges of a structure's sites, in e."""

_AT_ONCE = 500


def selected(
    connection: duckdb.DuckDBPyConnection, materials: Sequence[str] = (), top: int | None = None
) -> list[Record]:
    """Return the ranking rows of the materials that are asked for, the lowest barrier first.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        As `storage.database.reading` opens it.
    materials : sequence of str
        Identifiers, hashes, formulas or names; all that fit one of them are taken. By default all materials.
    top : int, optional
        Only so many, and only those with a barrier.

    Raises
    ------
    QueryError
        When one of the names fits nothing.
    """
    if top is not None and top < 1:
        raise QueryError(f"the top {top} were asked for; give 1 or more")
    rows = ask(
        connection,
        "SELECT * FROM rankings ORDER BY barrier_at_dim_ev ASC NULLS LAST, material_id, structure_hash",
    ).records()
    if materials:
        wanted = set()
        for name in materials:
            found = material_in(connection, name)
            if not found:
                raise QueryError(f"no material is called {name!r}; `lihop rank` lists those there are")
            wanted |= {_key(row) for row in found}
        rows = [row for row in rows if _key(row) in wanted]
    if top is not None:
        rows = [row for row in rows if row["barrier_at_dim_ev"] is not None][:top]
    return rows


def with_structures(connection: duckdb.DuckDBPyConnection, rows: Sequence[Record]) -> Iterator[Record]:
    """Yield ranking rows with ``structure_json`` and ``oxidation_states``, some hundred at once."""
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        found = ask(
            connection,
            "SELECT structure_hash, any_value(structure_json) AS structure_json, "
            "any_value(oxidation_states) AS oxidation_states "
            "FROM candidates WHERE list_contains($hashes, structure_hash) GROUP BY structure_hash",
            {"hashes": [row["structure_hash"] for row in part]},
        ).records()
        known = {entry["structure_hash"]: entry for entry in found}
        for row in part:
            yield row | known[row["structure_hash"]]


def structure_of(row: Record) -> Structure:
    """Return the cleaned structure of a row of `with_structures`, sites in their stored order.

    Its `properties` say what it is known by; where charges are known, the site property `oxidation_state`
    holds them. Species are elements, without charges.
    """
    from pymatgen.core import Structure

    structure: Structure = Structure.from_dict(json.loads(row["structure_json"]))
    structure.properties = identity(row)
    if row["oxidation_states"] is not None:
        structure.add_site_property(CHARGE, row["oxidation_states"])
    return structure


def atoms_of(row: Record) -> Atoms:
    """Return the cleaned structure of a row of `with_structures` as ASE's atoms, sites in their stored order.

    `info` says what it is known by; where the charges of all sites are known, the array `oxidation_state`
    holds them.
    """
    import numpy as np
    from ase import Atoms

    structure = structure_of(row)
    atoms = Atoms(
        symbols=[site.specie.symbol for site in structure],
        scaled_positions=structure.frac_coords,
        cell=structure.lattice.matrix,
        pbc=True,
    )
    charges = row["oxidation_states"]
    if charges is not None and None not in charges:
        atoms.set_array(CHARGE, np.array(charges, dtype=float))
    atoms.info = {name: value for name, value in identity(row).items() if value is not None}
    return atoms


def identity(row: Record) -> dict[str, Any]:
    """Return what a structure is known by."""
    return {name: row[name] for name in IDENTITY}


def _key(row: Record) -> tuple[str, ...]:
    return (row["structure_hash"], row["material_key"], row["working_ion"], row["state"])
