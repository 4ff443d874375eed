"""OPTIMADE documents as content that is kept, and kept content as structures."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from storage.records import Reason
from tasks.candidates.entries import content_text
from tasks.candidates.source import RawMaterial, RejectedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pymatgen.core import Structure

NEEDED = ("lattice_vectors", "cartesian_site_positions", "species", "species_at_sites")
FIELDS = (
    *NEEDED,
    "nperiodic_dimensions",
    "dimension_types",
    "structure_features",
    "chemical_formula_reduced",
    "last_modified",
    "immutable_id",
)
VACANCY = "vacancy"
INCOMPLETE = {
    "unknown_positions": "atoms whose positions are unknown",
    "implicit_atoms": "atoms that are not among its sites",
    "site_attachments": "groups of atoms in place of single ones",
}
"""Features of a structure that leave out atoms, by what they mean."""


class MalformedError(ValueError):
    """A document that is no structure as OPTIMADE defines one."""


def is_entry(document: object) -> bool:
    """Say whether a document is one of a structure, and has an id."""
    if not isinstance(document, dict) or document.get("type", "structures") != "structures":
        return False
    if not isinstance(document.get("attributes"), dict | None):
        return False
    return isinstance(document.get("id"), str) and bool(document["id"].strip())


def content_of(
    base_url: str, entry_id: str, document: Mapping[str, Any], licence: str | None
) -> dict[str, Any]:
    """Return what is kept of a document: what its structure needs, and nothing that changes by itself.

    Raises
    ------
    MalformedError
        When it is no structure.
    """
    attributes = document.get("attributes")
    if not isinstance(attributes, dict):
        raise MalformedError("it has no attributes")
    missing = [name for name in NEEDED if attributes.get(name) is None]
    if missing:
        raise MalformedError(f"it has no {', '.join(missing)}; all of {', '.join(NEEDED)} are needed")
    content = {
        "entry_id": entry_id,
        "base_url": base_url,
        "id": document["id"],
        "licence": licence,
        "attributes": {name: attributes[name] for name in FIELDS if attributes.get(name) is not None},
    }
    try:
        structure_of(content["attributes"])
    except RejectedError:
        pass  # whole, and of a kind that cannot be screened: said when it is read
    except Exception as error:
        raise MalformedError(
            f"its structure cannot be made ({' '.join(str(error).split())[:200]})"
        ) from error
    try:
        content_text(content).encode()
    except ValueError as error:  # a number that is none, or half a character
        raise MalformedError(f"it cannot be kept as JSON ({error})") from error
    return content


def material_of(content: Mapping[str, Any], source: str) -> RawMaterial:
    """Return the structure of kept content, with what the database says of it.

    Raises
    ------
    RejectedError
        When it is not a crystal in three dimensions with all its atoms.
    """
    attributes = content["attributes"]
    try:
        structure = structure_of(attributes)
    except RejectedError as error:
        raise RejectedError(error.reason, f"{content['entry_id']}: {error}", error.formula) from error
    other = (content["id"], attributes.get("immutable_id"))
    return RawMaterial(
        material_id=content["entry_id"],
        structure=structure,
        source=source,
        source_ref=f"{content['base_url']}/v1/structures/{content['id']}",
        other_ids=tuple(dict.fromkeys(str(one) for one in other if one)),
        last_updated_at=_time(attributes.get("last_modified")),
        licence=content.get("licence"),
    )


def structure_of(attributes: Mapping[str, Any]) -> Structure:
    """Return the structure that a document's attributes describe, with partial occupancies as they are.

    Raises
    ------
    RejectedError
        When it is not a crystal in three dimensions with all its atoms.
    """
    from pymatgen.core import Lattice, Structure

    formula = attributes.get("chemical_formula_reduced")
    periodic = attributes.get("nperiodic_dimensions", sum(attributes.get("dimension_types") or (1, 1, 1)))
    if periodic != 3:  # noqa: PLR2004 - a crystal
        raise RejectedError(
            Reason.MALFORMED_DOCUMENT,
            f"it repeats in {periodic} of 3 dimensions; a crystal is needed",
            formula,
        )
    lacking = [INCOMPLETE[name] for name in attributes.get("structure_features") or () if name in INCOMPLETE]
    if lacking:
        why = f"it has {' and '.join(lacking)}; a structure with all its atoms is needed"
        raise RejectedError(Reason.MALFORMED_DOCUMENT, why, formula)
    lattice = np.array(attributes["lattice_vectors"], dtype=float)
    positions = np.array(attributes["cartesian_site_positions"], dtype=float)
    names = attributes["species_at_sites"]
    if lattice.shape != (3, 3) or positions.shape != (len(names), 3) or not len(names):
        raise ValueError(
            f"lattice {lattice.shape}, positions {positions.shape} and {len(names)} names of species do not "
            "go together; (3, 3), (n, 3) and n are needed"
        )
    if not (np.isfinite(lattice).all() and np.isfinite(positions).all()):
        raise ValueError("lattice and positions must be finite numbers")
    kinds = {one["name"]: _occupants(one) for one in attributes["species"]}
    # A site that is only vacancy holds nothing.
    sites = [(kinds[name], at) for name, at in zip(names, positions, strict=True) if kinds[name]]
    return Structure(
        Lattice(lattice), [kind for kind, _ in sites], [at for _, at in sites], coords_are_cartesian=True
    )


def _occupants(species: Mapping[str, Any]) -> dict[Any, float]:
    """Return the elements of a species with their shares, which leave out vacancies."""
    from pymatgen.core import DummySpecies, Element

    found: dict[Any, float] = {}
    symbols, shares = species["chemical_symbols"], species["concentration"]
    for symbol, share in zip(symbols, shares, strict=True):
        if symbol == VACANCY:
            continue
        # "X" is an element that the database does not know: the cleaning refuses it by its name.
        kind = DummySpecies("X") if symbol == "X" else Element(symbol)
        found[kind] = found.get(kind, 0.0) + float(share)
    return found


def _time(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
