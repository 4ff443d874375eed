"""What data sets there are, on this machine and elsewhere, and whether one is as it should be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.datasets import own
from tasks.datasets.checks import examine
from tasks.datasets.errors import DatasetError
from tasks.datasets.findings import Finding, has_errors, in_order
from tasks.datasets.reading import check_counts, check_files, check_tables, read_records
from tasks.datasets.records import SPLITS
from tasks.datasets.registry import PUBLISHED, DataSet, find_folder, is_own, own_names, require

if TYPE_CHECKING:
    from pathlib import Path


def rows(data_dir: str | None = None) -> list[dict[str, Any]]:
    """Return what is known of each data set, in plain types: the published ones, then the user's own."""
    published = [_published_row(known, find_folder(known.name, data_dir)) for known in PUBLISHED.values()]
    mine = [_own_row(name, require(name, data_dir)) for name in own_names(data_dir)]
    return published + mine


def _published_row(known: DataSet, folder: Path | None) -> dict[str, Any]:
    files = [*known.files, *([] if known.archive is None else [known.archive])]
    return {
        "name": known.name,
        "title": known.title,
        "ions": known.ions.split(", "),
        "hops": known.hops,
        "splits": {split: count or None for split, count in known.splits.items()},
        "method": known.method,
        "licence": known.licence,
        "references": list(known.references),
        "folder": None if folder is None else str(folder),
        "files": [
            {
                "name": file.name,
                "url": file.url or None,
                "sha256": file.sha256 or None,
                "size": file.size or None,
                "needed": file.needed,
                "note": file.note or None,
            }
            for file in files
        ],
    }


def _own_row(name: str, folder: Path) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "title": "your own", "folder": str(folder), "files": []}
    try:
        about = own.read_about(folder)
    except DatasetError as error:
        row |= {"ions": [], "hops": None, "splits": {}, "licence": None, "references": []}
        return row | {"method": f"cannot be read: {error}"}
    return row | {
        "ions": about["ions"],
        "hops": about["hops"],
        "splits": about["splits"],
        "method": ", ".join(about["methods"]),
        "licence": about["licence"],
        "references": [],
    }


def verified(name: str, data_dir: str | None = None) -> dict[str, Any]:
    """Check a data set from its files to its labels.

    Returns
    -------
    dict
        Its name, folder, number of hops, hops of each split, findings with the worst first, and ``ok``,
        whether none of them is an error.

    Raises
    ------
    DatasetError
        If there is no such data set, or it is not on this machine.
    """
    folder = require(name, data_dir)
    findings = check_files(name, folder)
    try:
        records, broken = read_records(name, folder)
        findings += [*broken, *check_counts(name, records), *check_tables(name, folder)]
        findings += examine(records, published=not is_own(name))
    except DatasetError as error:
        records = []
        findings.append(Finding("error", "reading", str(error)))
    return {
        "name": name,
        "folder": str(folder),
        "n": len(records),
        "splits": {
            split: count for split in SPLITS if (count := sum(record.split == split for record in records))
        },
        "ok": not has_errors(findings),
        "findings": in_order(findings),
    }
