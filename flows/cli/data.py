"""`lihop data`: the reference set, the descriptors, and the hops of a structure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.errors import UsageError
from flows.cli.output import print_json, print_table
from flows.settings import resolve

if TYPE_CHECKING:
    from tasks.candidates.source import RawMaterial, Source

DataDir = Annotated[str | None, typer.Option(help="Folder that holds the data set's folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

REFERENCE_COLUMNS = {
    "material_id": "id",
    "name": "name",
    "family": "family",
    "role": "role",
    "space_group_found": "space group",
    "gii_vu": "GII (v.u.)",
    "min_distance_ang": "shortest (Å)",
    "volume_deviation": "volume / devi2025 - 1",
    "n_independent_checks": "checks",
    "source": "source",
}
DESCRIPTOR_COLUMNS = {
    "group": "group",
    "key": "key",
    "shape": "shape",
    "unit": "unit",
    "meaning": "meaning",
    "reference": "reference",
}
HOP_COLUMNS = {
    "i": "from",
    "j": "to",
    "image": "in cell",
    "distance_ang": "length (Å)",
    "multiplicity": "equivalent",
    "direction_symmetric": "symmetric",
    "blocked_by": "blocked by",
}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="What lihop brings: reference structures, descriptors, hops.", no_args_is_help=True
    )
    group.command("reference")(reference)
    group.command("descriptors")(descriptors)
    group.command("hops")(hops)
    app.add_typer(group, name="data")


def reference(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Print the reference set with its checks, and how many have no check but their own source."""
    from tasks.candidates.reference_checks import devi2025_structures
    from tasks.candidates.reference_table import reference_table, summary
    from tasks.datasets import devi2025
    from tasks.datasets.errors import DatasetError

    given = resolve({"data_dir": data_dir}).data_dir
    try:
        compared = devi2025_structures(devi2025.find_data_dir(None if given is None else Path(given)))
    except DatasetError:
        # Without the data set its columns are unknown, and say so; every other check stands by itself.
        compared = None
    rows = reference_table(compared)
    if as_json:
        print_json(rows)
        return
    print_table(rows, REFERENCE_COLUMNS)
    counts = summary(rows)
    print(
        f"{counts['to_screen']} structures to screen, {counts['cathodes_to_screen']} of them cathodes; "
        f"{counts['to_refuse']} to refuse. "
        f"{counts['all_checks_passed']} pass every check that applies to them; "
        f"{counts['own_source_only']} have no check but their own source; "
        f"{counts['no_second_determination']} have no second determination."
    )
    if compared is None:
        print("The devi2025 data set is not here, so no volume was compared with it (see lihop doctor).")


def descriptors(as_json: Json = False) -> None:
    """Print every descriptor: key, shape, unit, meaning, reference."""
    from tasks.descriptors.keys import descriptor_table

    rows = descriptor_table()
    print_json(rows) if as_json else print_table(rows, DESCRIPTOR_COLUMNS)


def hops(
    material: Annotated[str, typer.Argument(help="Identifier in the reference set, or a structure file.")],
    working_ion: Annotated[str | None, typer.Option(help="Element symbol of the ion that moves.")] = None,
    cutoff_ang: Annotated[float | None, typer.Option(help="Longest hop in Å.")] = None,
    as_json: Json = False,
) -> None:
    """Print the symmetry-distinct hops of a structure; as JSON with every equivalent of each."""
    from tasks.candidates.cleaning import CleaningSettings, clean, load_structure
    from tasks.hops.network import hop_network

    settings = resolve({"working_ion": working_ion, "cutoff_ang": cutoff_ang})
    raw = _find(material)
    structure = load_structure(clean(raw, CleaningSettings(working_ion=settings.working_ion), "none"))
    network = hop_network(structure, settings.working_ion, cutoff_ang=settings.cutoff_ang)
    rows = [
        {
            "i": hop.i,
            "j": hop.j,
            "image": list(hop.image),
            "distance_ang": hop.distance_ang,
            "multiplicity": hop.multiplicity,
            "direction_symmetric": hop.direction_symmetric,
            "blocked_by": hop.blocked_by,
            "orbit": [list(edge) for edge in hop.orbit],
        }
        for hop in network.hops
    ]
    if as_json:
        print_json({"material_id": raw.material_id, "cutoff_ang": network.cutoff_ang, "hops": rows})
        return
    print_table(rows, HOP_COLUMNS, title=f"{raw.material_id}: hops up to {network.cutoff_ang:.3f} Å")


def _find(material: str) -> RawMaterial:
    from tasks.candidates.files import FilesSource
    from tasks.candidates.reference import ReferenceSource
    from tasks.candidates.source import Rejected

    source: Source = FilesSource(material) if Path(material).exists() else ReferenceSource()
    items = source.items()
    names = {material.lower(), f"ref-{material.lower()}"}
    wanted = [item for item in items if Path(material).exists() or item.item_id.lower() in names]
    if not wanted:
        known = ", ".join(item.item_id for item in items)
        raise UsageError(f"{material!r} is neither a file nor in the reference set, which has {known}")
    found = source.read(wanted[0])[0]
    if isinstance(found, Rejected):
        raise found.error
    return found
