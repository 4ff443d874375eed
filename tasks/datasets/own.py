"""A user's own barriers as a data set: written as plain CSV and JSON in one step, and read again."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.datasets.checks import examine
from tasks.datasets.errors import DatasetError
from tasks.datasets.findings import Finding, has_errors, in_order
from tasks.datasets.own_hops import Terms, hops_of, unit_of
from tasks.datasets.own_table import read_table
from tasks.datasets.registry import OWN, OWN_PREFIX, PUBLISHED

if TYPE_CHECKING:
    from tasks.datasets.own_table import Table
    from tasks.datasets.records import Crystal, HopRecord

FORMAT = 1
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
ABOUT = "dataset.json"
BARRIERS = "barriers.csv"
STRUCTURES = "structures"
COLUMNS = (
    "id", "structure", "i", "j", "ox", "oy", "oz", "barrier_ev", "ion", "method", "split",
    "host_ion_fraction",
)  # fmt: skip


class RefusedError(DatasetError):
    """A table of barriers holds errors, and nothing of it was added.

    Parameters
    ----------
    findings : list of Finding
        What was found.
    """

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings
        errors = [finding for finding in findings if finding.severity == "error"]
        super().__init__(f"{len(errors)} errors, so that nothing was added")


def add(
    name: str,
    barriers: Path,
    data_dir: Path,
    *,
    method: str,
    licence: str = "",
    structures: Path | None = None,
    unit: str | None = None,
    ion: str | None = None,
    fill_ends: bool = False,
    force: bool = False,
) -> tuple[Path, dict[str, Any], list[Finding]]:
    """Check a table of barriers and write it as a data set `own/NAME` of a data folder, whole or not at all.

    Parameters
    ----------
    name : str
        What to call it; `own-NAME` is how commands know it.
    barriers : Path
        CSV, or extended XYZ with a frame a hop.
    data_dir : Path
        The data folder.
    method : str
        How the barriers were found.
    licence : str
        Under what terms they may be used.
    structures : Path, optional
        Folder of the structure files; that of the table unless given.
    unit : {"eV", "meV", "kJ/mol"}, optional
        Unit of the barriers.
    ion : str, optional
        Element that moves, where rows do not say.
    fill_ends : bool
        Whether an end at which there is no atom is filled.
    force : bool
        Whether to replace a data set of the same name.

    Returns
    -------
    tuple
        The folder, what is said of the data set there, and findings that are no errors.

    Raises
    ------
    RefusedError
        If the table holds errors.
    DatasetError
        If the name is taken or none, or the table cannot be read.
    """
    folder = data_dir / OWN / name
    _refuse_name(name, folder, force=force)
    if not method.strip():
        raise DatasetError("--method is empty; say how the barriers were found, as in 'DFT-NEB, PBE+U, VASP'")
    table = read_table(barriers)
    found_unit = unit_of(table, unit)
    terms = Terms(method=method.strip(), unit=found_unit, ion=ion, fill_ends=fill_ends)
    records, findings = hops_of(table, structures if structures is not None else barriers.parent, terms)
    findings = in_order([*findings, *(examine(records, published=False) if records else [])])
    if has_errors(findings):
        raise RefusedError(findings)
    about = _about(name, records, barriers, method=terms.method, licence=licence.strip(), unit=found_unit)
    write(folder, records, about)
    return folder, about, [*findings, *_left_aside(table)]


def _refuse_name(name: str, folder: Path, *, force: bool) -> None:
    """Refuse a name that is none, or taken."""
    if not NAME.fullmatch(name):
        raise DatasetError(
            f"{name!r} is no name for a data set; give up to 40 small letters, digits, dashes and underscores"
        )
    if name in {known.lower() for known in PUBLISHED}:
        raise DatasetError(f"{name} is the name of a published data set; give another")
    if folder.exists() and not force:
        raise DatasetError(f"{folder} is there already; give another name, or --force to replace it")


def _left_aside(table: Table) -> list[Finding]:
    if not table.left_aside:
        return []
    return [Finding("note", "columns", f"Left aside: {', '.join(table.left_aside)}.")]


def _about(
    name: str, records: list[HopRecord], source: Path, *, method: str, licence: str, unit: str
) -> dict[str, Any]:
    """Return what is said of a data set beside its hops."""
    splits = [record.split for record in records]
    return {
        "format": FORMAT,
        "name": f"{OWN_PREFIX}{name}",
        "method": method,
        "methods": sorted({record.method for record in records}),
        "licence": licence or "not stated",
        "hops": len(records),
        "splits": {split: splits.count(split) for split in sorted(set(splits))},
        "ions": sorted({record.ion for record in records}),
        "unit_given": unit,
        "source": source.name,
        "source_sha256": digest_of(source),
        "lihop_version": version("lihop"),
    }


def digest_of(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write(folder: Path, records: list[HopRecord], about: dict[str, Any]) -> None:
    """Write a data set beside its place and move it there; what stood there before goes only then."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        draft.chmod(0o755)
        (draft / STRUCTURES).mkdir()
        rows = [_row(record, draft / STRUCTURES) for record in records]
        with (draft / BARRIERS).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        sums = {BARRIERS: digest_of(draft / BARRIERS)}
        text = json.dumps(about | {"sha256": sums}, indent=2, ensure_ascii=False)
        (draft / ABOUT).write_text(text + "\n", encoding="utf-8")
        _swap(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _swap(draft: Path, folder: Path) -> None:
    """Put a finished draft in its place."""
    if not folder.exists():
        draft.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
    folder.rename(old / "was")
    draft.rename(folder)
    shutil.rmtree(old)


def _row(record: HopRecord, folder: Path) -> dict[str, Any]:
    """Write a hop's structure, once, and return its row."""
    text = json.dumps(_as_dict(record.crystal))
    name = f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    if not (folder / name).exists():
        (folder / name).write_text(text + "\n", encoding="utf-8")
    x, y, z = record.image
    return {
        "id": record.hop_id,
        "structure": name,
        "i": record.i,
        "j": record.j,
        "ox": x,
        "oy": y,
        "oz": z,
        "barrier_ev": f"{record.barrier_ev:.12g}",
        "ion": record.ion,
        "method": record.method,
        "split": record.split,
        "host_ion_fraction": f"{record.host_ion_fraction:.12g}",
    }


def _as_dict(crystal: Crystal) -> dict[str, Any]:
    """Return a structure as pymatgen's JSON has it, with nothing but lattice, elements and positions."""
    sites = [
        {"species": [{"element": symbol, "occu": 1}], "abc": abc}
        for symbol, abc in zip(crystal.symbols, crystal.frac.tolist(), strict=True)
    ]
    return {"lattice": {"matrix": crystal.lattice.tolist()}, "sites": sites}


def read_about(folder: Path) -> dict[str, Any]:
    """Return what is said of an added data set.

    Raises
    ------
    DatasetError
        If it is missing, broken or of a later format.
    """
    path = folder / ABOUT
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        written = about["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path} cannot be read ({error}); add the data set again") from error
    if written != FORMAT:
        raise DatasetError(
            f"{path}: format {written}, this version reads {FORMAT}; add the data set again with this version"
        )
    return about


def read(folder: Path) -> tuple[list[HopRecord], list[Finding]]:
    """Return the hops of an added data set, and a finding for each row that cannot be read."""
    about = read_about(folder)
    table = read_table(folder / BARRIERS)
    return hops_of(table, folder / STRUCTURES, Terms(method=str(about["method"])))


def edited(folder: Path) -> bool:
    """Say whether the barriers were changed by hand since they were added."""
    sums = read_about(folder).get("sha256", {})
    return bool(sums.get(BARRIERS) != digest_of(folder / BARRIERS))
