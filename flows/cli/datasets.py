"""`lihop data list`, `fetch`, `verify` and `add`: the data sets that barrier models learn from."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.errors import UsageError
from flows.cli.output import print_json, print_table
from flows.settings import resolve

if TYPE_CHECKING:
    from tasks.datasets.findings import Finding

DataDir = Annotated[
    str | None, typer.Option(help="Folder that holds the data sets' folders [LIHOP_DATA_DIR, data].")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

LIST_COLUMNS = {
    "name": "name",
    "hops": "hops",
    "splits_text": "splits",
    "ions_text": "ions",
    "method": "barriers",
    "licence": "licence",
    "references_text": "cite",
    "here": "here",
}
FILE_COLUMNS = {"name": "file", "state": "", "checksum": "checksum", "path": "where"}
FINDING_COLUMNS = {"severity": "", "check": "check", "count": "hops", "message": "what was found"}

EPILOG_ADD = """
A CSV file names its columns in the first line; commas, semicolons or tabs part them. Needed are: id;
structure, the name of a structure file (CIF, POSCAR, extended XYZ, pymatgen JSON); the barrier, as
barrier_ev, barrier_mev or barrier_kj_mol (or barrier, with --unit); and the ends, as i and j (sites of the
file, counted from 0) with ox, oy, oz (the cell of j; 0 unless given), or as start and end (three fractional
coordinates each, as in "0.5 0.5 0"). Where they help: ion, method (of this row), split (train, val, test;
train unless given), host_ion_fraction (share of the working ions that the host kept; 1, an isolated vacancy,
unless given).

Extended XYZ holds a frame a hop, with the same names in its second line: id=hop1 barrier_ev=0.45 i=0 j=3
ox=0 oy=0 oz=1, or start="0 0 0" end="0.5 0 0".

The barrier is E(saddle) - min(E of the ends). Both ends are filled in the structure, as in the crystal.
"""


def register(group: typer.Typer) -> None:
    """Add the commands to `lihop data`."""
    group.command("list")(list_datasets)
    group.command("fetch")(fetch)
    group.command("verify")(verify)
    group.command("add", epilog=EPILOG_ADD)(add)


def list_datasets(data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the data sets that lihop knows, and your own, with where they are on this machine."""
    from tasks.datasets.catalogue import rows

    found = rows(resolve({"data_dir": data_dir}).data_dir)
    if as_json:
        print_json(found)
        return
    for row in found:
        row["ions_text"] = " ".join(row["ions"])
        row["references_text"] = ", ".join(row["references"])
        row["splits_text"] = ", ".join(
            split if count is None else f"{split} {count}" for split, count in row["splits"].items()
        )
        row["here"] = "not here" if row["folder"] is None else row["folder"]
    print_table(found, LIST_COLUMNS, whole={"name"})
    print(
        "Get one that is not here: lihop data fetch NAME. Check one: lihop data verify NAME. "
        "Bring barriers of your own: lihop data add NAME --barriers FILE --method TEXT."
    )


def fetch(
    name: Annotated[str, typer.Argument(help="A published data set: devi2025, nebDFT2k, nebBVSE122k.")],
    data_dir: DataDir = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Get the files from here instead: a folder, a zip file, or an address that holds them.",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that differ from the published.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Download a data set, go on where an earlier download broke off, and check what came.

    Files that are here and as published are kept; one that was edited is never overwritten without --force.
    """
    from flows.cli.transfers import transfer_bar
    from tasks.datasets.fetching import fetch as fetch_files

    folder = resolve({"data_dir": data_dir}).data_dir
    with nullcontext(None) if as_json else transfer_bar(name) as on_progress:
        told = {} if on_progress is None else {"on_progress": on_progress}
        found = fetch_files(name, folder, source=source, force=force, **told)
    rows = [
        {
            "name": file.name,
            "state": file.state,
            "path": None if file.path is None else str(file.path),
            "sha256": file.sha256 or None,
            "checked": file.checked,
            "checksum": _checksum_text(file.sha256, checked=file.checked),
        }
        for file in found
    ]
    if as_json:
        print_json(rows)
        return
    print_table(rows, FILE_COLUMNS)
    print(f"Check what is in it: lihop data verify {name}")


def _checksum_text(digest: str, *, checked: bool) -> str:
    if checked:
        return "right"
    return f"{digest[:16]}..., none published to compare with" if digest else "-"


def verify(
    name: Annotated[str, typer.Argument(help="A data set: devi2025, nebDFT2k, nebBVSE122k or own-NAME.")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Check a data set: files, counts, units, ids, leaks between splits, labels that contradict each other.

    Ends with 0 where no error was found, and with 1 where one was. In a set that others published, what its
    authors left in is a warning; in your own it is an error.
    """
    from flows.cli.transfers import checking
    from tasks.datasets.catalogue import verified

    with nullcontext() if as_json else checking(name):
        found = verified(name, resolve({"data_dir": data_dir}).data_dir)
    if as_json:
        print_json(found | {"findings": [finding.row() for finding in found["findings"]]})
    else:
        splits = ", ".join(f"{split} {count}" for split, count in found["splits"].items())
        print(f"{name} in {found['folder']}: {found['n']} hops ({splits})")
        _print_findings(found["findings"])
    if not found["ok"]:
        raise typer.Exit(1)


def _print_findings(findings: list[Finding]) -> None:
    if findings:
        print_table([finding.row() for finding in findings], FINDING_COLUMNS, whole={"severity"})
    counts = {kind: sum(f.severity == kind for f in findings) for kind in ("error", "warning", "note")}
    print(", ".join(f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in counts.items()) + ".")


def add(
    name: Annotated[str, typer.Argument(help="What to call it; commands know it as own-NAME.")],
    barriers: Annotated[str, typer.Option(help="CSV file, or extended XYZ with a frame a hop.")],
    method: Annotated[str, typer.Option(help="How the barriers were found, as in 'DFT-NEB, PBE+U, VASP'.")],
    structures: Annotated[
        str | None, typer.Option(help="Folder of the structure files [that of the CSV file].")
    ] = None,
    licence: Annotated[str, typer.Option(help="Under what terms they may be used.")] = "",
    unit: Annotated[str | None, typer.Option(help="Unit of the barriers: eV, meV, kJ/mol [eV].")] = None,
    ion: Annotated[str | None, typer.Option(help="Element that moves, where no column says.")] = None,
    fill_ends: Annotated[
        bool, typer.Option("--fill-ends", help="Put an ion where start or end holds none.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a data set of the same name.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Add barriers of your own, after the checks of lihop data verify, to train on beside others.

    They are copied into DATA_DIR/own/NAME as plain CSV and JSON, whole or not at all.
    """
    from tasks.datasets import own
    from tasks.datasets.registry import target_folder

    try:
        folder, about, findings = own.add(
            name,
            Path(barriers),
            target_folder(resolve({"data_dir": data_dir}).data_dir),
            method=method,
            licence=licence,
            structures=None if structures is None else Path(structures),
            unit=unit,
            ion=ion,
            fill_ends=fill_ends,
            force=force,
        )
    except own.RefusedError as error:
        raise UsageError(_refusal(name, error.findings)) from error
    if as_json:
        print_json(about | {"folder": str(folder), "findings": [finding.row() for finding in findings]})
        return
    hops = "1 hop" if about["hops"] == 1 else f"{about['hops']} hops"
    print(f"Wrote {folder}: {hops} of {', '.join(about['ions'])}, barriers: {method}.")
    _print_findings(findings)
    print(f"Train on it: lihop train --dataset devi2025 --dataset {about['name']}")


def _refusal(name: str, findings: list[Any]) -> str:
    """Return what keeps a table from being added, a line an error."""
    lines = [f"{f.check}: {f.message}" for f in findings if f.severity == "error"]
    shown = lines[:20]
    rest = [f"and {len(lines) - len(shown)} more"] if len(lines) > len(shown) else []
    errors = "1 error" if len(lines) == 1 else f"{len(lines)} errors"
    return "\n  ".join([f"{name} was not added, {errors}:", *shown, *rest])
