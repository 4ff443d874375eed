"""`lihop data`: data sets, the reference set, the descriptors, and the hops of a structure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli import datasets
from flows.cli.errors import UsageError
from flows.cli.hops import hops
from flows.cli.output import print_json, print_table
from flows.settings import resolve

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


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Data sets to learn from, and what lihop brings: reference structures, descriptors, hops.",
        no_args_is_help=True,
    )
    group.command("reference")(reference)
    group.command("descriptors")(descriptors)
    group.command("hops")(hops)
    datasets.register(group)
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


def descriptors(
    as_json: Json = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print docs/descriptors.md, which is made from this.")
    ] = False,
) -> None:
    """Print every descriptor: key, shape, unit, meaning, reference."""
    from tasks.descriptors.document import descriptor_page
    from tasks.descriptors.keys import descriptor_table

    if as_json and as_markdown:
        raise UsageError("--json and --markdown were both given: choose one")
    if as_markdown:
        print(descriptor_page(), end="")
        return
    rows = descriptor_table()
    print_json(rows) if as_json else print_table(rows, DESCRIPTOR_COLUMNS)
