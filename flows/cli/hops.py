"""`lihop data hops`: every hop of one structure, of the reference set, of devi2025, or in a file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.errors import UsageError
from flows.cli.output import print_json, print_table
from flows.settings import resolve

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from tasks.candidates.source import RawMaterial, Source
    from tasks.hops.network import HopNetwork, NetworkHop

HOP_COLUMNS = {
    "i": "from",
    "j": "to",
    "image_text": "in cell",
    "distance_ang": "length (Å)",
    "multiplicity": "equivalent",
    "direction_symmetric": "symmetric",
    "mechanism": "mechanism",
    "also_vacant_text": "also vacant",
    "blocked_by": "blocked by",
    "frac_i_text": "from (fractional)",
    "frac_j_text": "to (fractional)",
}
DEVI2025_ID = re.compile(r"(train|test)-\d+")


@dataclass(frozen=True)
class Found:
    """A structure by its name, and the ion that moves in it."""

    name: str
    structure: Structure
    working_ion: str


def hops(
    material: Annotated[
        str,
        typer.Argument(
            help="Identifier in the reference set, identifier (test-1) or name in devi2025, or a file."
        ),
    ],
    working_ion: Annotated[str | None, typer.Option(help="Element symbol of the ion that moves.")] = None,
    cutoff_ang: Annotated[float | None, typer.Option(help="Longest hop in Å.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Folder that holds the data set's folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the symmetry-distinct hops of a structure; as JSON with every equivalent of each."""
    from tasks.hops.network import hop_network

    settings = resolve({"working_ion": working_ion, "cutoff_ang": cutoff_ang, "data_dir": data_dir})
    found = _find(material, working_ion, settings.working_ion, settings.data_dir)
    network = hop_network(found.structure, found.working_ion, cutoff_ang=settings.cutoff_ang)
    rows = [hop_row(hop, found.structure) for hop in network.hops]
    if as_json:
        print_json(summary(found, network) | {"hops": rows})
        return
    for row in rows:
        row |= {f"{key}_text": _text(row[key]) for key in ("image", "also_vacant", "frac_i", "frac_j")}
    print_table(rows, HOP_COLUMNS, title=f"{found.name}: hops up to {network.cutoff_ang:.3f} Å")
    total = sum(hop.multiplicity for hop in network.hops)
    print(
        f"{len(rows)} symmetry-distinct hops, {total} in the cell of {len(found.structure)} sites; "
        f"those that are not blocked connect in {network.reached_dim} dimensions."
        + ("" if network.symmetry_found else " No symmetry was found: every hop stands alone.")
    )


def summary(found: Found, network: HopNetwork) -> dict[str, Any]:
    """Return what is true of all hops of a structure, with the cell that their coordinates refer to."""
    return {
        "material_id": found.name,
        "formula": found.structure.composition.reduced_formula,
        "working_ion": network.working_ion,
        "cutoff_ang": network.cutoff_ang,
        "reached_dim": network.reached_dim,
        "symmetry_found": network.symmetry_found,
        "n_sites": len(found.structure),
        "lattice_ang": found.structure.lattice.matrix.tolist(),
    }


def hop_row(hop: NetworkHop, structure: Structure) -> dict[str, Any]:
    """Return a hop in plain types: site j's coordinates are those in its image."""
    return {
        "i": hop.i,
        "j": hop.j,
        "image": list(hop.image),
        "distance_ang": hop.distance_ang,
        "multiplicity": hop.multiplicity,
        "direction_symmetric": hop.direction_symmetric,
        "mechanism": hop.mechanism,
        "also_vacant": None if hop.also_vacant is None else list(hop.also_vacant),
        "blocked_by": hop.blocked_by,
        "frac_i": structure[hop.i].frac_coords.tolist(),
        "frac_j": (structure[hop.j].frac_coords + hop.image).tolist(),
        "orbit": [list(edge) for edge in hop.orbit],
        "orbit_also_vacant": [list(vacancy) for vacancy in hop.orbit_also_vacant],
    }


def _text(value: list[float] | list[int] | None) -> str | None:
    """Return a short list as a table shows it; a rounded zero has no sign."""
    if value is None:
        return None
    return " ".join(f"{round(x, 3) + 0.0:.3f}" if isinstance(x, float) else str(x) for x in value)


def _find(material: str, ion_given: str | None, ion: str, data_dir: str | None) -> Found:
    """Return a structure: that of a file, else of the reference set, else of devi2025."""
    from tasks.candidates.cleaning import CleaningSettings, clean, load_structure
    from tasks.candidates.reference import ReferenceSource

    names = {material.lower(), f"ref-{material.lower()}"}
    known = [item.item_id for item in ReferenceSource().items()]
    is_file = bool(material) and Path(material).exists()
    if not is_file and not names & {name.lower() for name in known}:
        found = _in_devi2025(material, ion_given, data_dir)
        if found is not None:
            return found
        raise UsageError(
            f"{material!r} is neither a file nor in the reference set, which has {', '.join(known)}; "
            "devi2025 has train-0 to train-558, test-0 to test-59, and the names of its entries."
        )
    raw = _read(material, names, is_file=is_file)
    candidate = clean(raw, CleaningSettings(working_ion=ion), "none")
    return Found(raw.material_id, load_structure(candidate), ion)


def _read(material: str, names: set[str], *, is_file: bool) -> RawMaterial:
    """Read the structure of a file, or one of the reference set."""
    from tasks.candidates.files import FilesSource
    from tasks.candidates.reference import ReferenceSource
    from tasks.candidates.source import Rejected

    source: Source = FilesSource(material) if is_file else ReferenceSource()
    wanted = [item for item in source.items() if is_file or item.item_id.lower() in names]
    if not wanted:
        raise UsageError(f"{material!r} holds no structure file; give a file that pymatgen or ASE reads.")
    structures = source.read(wanted[0])
    found = structures[0]
    if isinstance(found, Rejected):
        raise found.error
    if len(wanted) * len(structures) > 1:
        raise UsageError(
            f"{material!r} holds {len(wanted)} files and {len(structures)} structures in the first; "
            "this command shows one: give a file that holds one structure."
        )
    return found


def _in_devi2025(material: str, ion_given: str | None, data_dir: str | None) -> Found | None:
    """Return the full structure of an entry of devi2025, as it stands; None where it has none of the name."""
    from tasks.datasets import devi2025
    from tasks.datasets.errors import DatasetError

    try:
        folder = devi2025.find_data_dir(None if data_dir is None else Path(data_dir))
    except DatasetError as error:
        if DEVI2025_ID.fullmatch(material.lower()) is None:
            return None
        raise UsageError(f"{material!r} is an entry of devi2025. {error}") from error
    entries = {
        f"{split}-{entry['jid']}": entry
        for split in devi2025.FILES
        for entry in devi2025.read_entries(folder, split)
    }
    lower = material.lower()
    wanted = [key for key, entry in entries.items() if lower in (key, str(entry["sys_name"]).lower())]
    if not wanted:
        return None
    if len(wanted) > 1:
        raise UsageError(f"devi2025 has several entries named {material!r}: give one of {', '.join(wanted)}.")
    structure = devi2025.structure_of(entries[wanted[0]])
    ion = structure[0].specie.symbol if ion_given is None else ion_given
    return Found(f"{wanted[0]} ({entries[wanted[0]]['sys_name']})", structure, ion)
