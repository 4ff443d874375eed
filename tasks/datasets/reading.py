"""Reads the hops of any data set, published or one's own, and checks its files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.datasets import devi2025, litraj, own
from tasks.datasets.errors import DatasetError, UnreadableHopError
from tasks.datasets.findings import Finding, some
from tasks.datasets.records import SPLITS, HopRecord, Split
from tasks.datasets.registry import PUBLISHED, is_own

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

ENTRY_ERRORS = (DatasetError, KeyError, TypeError, ValueError, IndexError)
"""What a broken entry makes a reader raise."""


def splits_of(name: str, folder: Path) -> tuple[Split, ...]:
    """Return the splits that a data set has, in the order train, val, test."""
    told: Collection[str] = own.read_about(folder)["splits"] if is_own(name) else PUBLISHED[name].splits
    return tuple(split for split in SPLITS if split in told)


def read_records(
    name: str, folder: Path, splits: Collection[str] = SPLITS
) -> tuple[list[HopRecord], list[Finding]]:
    """Return the hops of some splits as read, and a finding for each that cannot be read.

    Parameters
    ----------
    name : str
        Name of the data set.
    folder : Path
        Its folder.
    splits : collection of str
        Which splits.

    Raises
    ------
    DatasetError
        If a file is missing or no file of the data set.
    """
    if is_own(name):
        records, findings = own.read(folder)
        return [record for record in records if record.split in splits], findings
    found: list[HopRecord] = []
    broken: list[Finding] = []
    for entry_id, make in _entries(name, folder, splits):
        try:
            found.append(make())
        except ENTRY_ERRORS as error:
            text = str(error) if isinstance(error, DatasetError) else f"{entry_id}: {error!r}"
            broken.append(Finding("error", "entries", text, (entry_id,)))
    return found, broken


def _entries(name: str, folder: Path, splits: Collection[str]) -> Iterator[tuple[str, Any]]:
    """Yield an id and what makes a record of it."""
    if name == devi2025.NAME:
        for part in devi2025.FILES:
            for entry in devi2025.read_entries(folder, part) if part in splits else ():
                jid = entry.get("jid") if isinstance(entry, dict) else None
                yield f"{part}-{jid}", lambda entry=entry, part=part: devi2025.record_of(entry, part)
        return
    for found in litraj.entries(name, folder):
        if found[1] in splits:
            yield f"{found[1]}-{found[0]}", lambda found=found: litraj.record_of(name, folder, found)


def records_or_refuse(name: str, folder: Path, splits: Collection[str]) -> list[HopRecord]:
    """Return the hops of some splits, all of which must be readable.

    Raises
    ------
    UnreadableHopError
        If one is not.
    """
    records, broken = read_records(name, folder, splits)
    if broken:
        raise UnreadableHopError(
            f"{name}: {len(broken)} hops cannot be read, the first because: {broken[0].message} See "
            f"lihop data verify {name}."
        )
    return records


def check_files(name: str, folder: Path) -> list[Finding]:
    """Find files that are missing, or not the published ones."""
    if is_own(name):
        if not own.edited(folder):
            return []
        message = f"{own.BARRIERS} was changed since it was added; nothing is wrong with that if you did it."
        return [Finding("note", "files", message, (own.BARRIERS,))]
    known = PUBLISHED[name].files
    here = [file for file in known if (folder / file.name).is_file()]
    missing = tuple(file.name for file in known if file not in here and file.needed)
    optional = tuple(file.name for file in known if file not in here and not file.needed)
    other = tuple(f.name for f in here if f.sha256 and own.digest_of(folder / f.name) != f.sha256)
    unknown = tuple(f.name for f in here if not f.sha256)
    found = [
        Finding("error", "files", f"{some(missing)}: missing; lihop data fetch {name}.", missing),
        Finding(
            "error",
            "checksums",
            f"{some(other)}: not the published content; lihop data fetch {name} --force replaces it.",
            other,
        ),
        Finding("note", "files", f"{some(optional)}: not here, and not needed to read the hops.", optional),
        Finding("note", "checksums", f"{some(unknown)}: no published checksum to compare with.", unknown),
    ]
    return [finding for finding in found if finding.ids]


def check_counts(name: str, records: list[HopRecord]) -> list[Finding]:
    """Find splits that hold another number of hops than was published."""
    if is_own(name):
        return []
    known = PUBLISHED[name]
    have = {split: sum(record.split == split for record in records) for split in known.splits}
    wrong = [
        f"{split} {have[split]} instead of {wanted}"
        for split, wanted in known.splits.items()
        if wanted and have[split] != wanted
    ]
    if not wrong and len(records) != known.hops:
        wrong = [f"{len(records)} hops instead of {known.hops}"]
    if not wrong:
        return []
    message = f"{', '.join(wrong)}: not the published set, or only a part of it."
    return [Finding("error", "counts", message)]


def check_tables(name: str, folder: Path) -> list[Finding]:
    """Find hops whose barrier or split a second file of the data set tells otherwise."""
    if name not in {litraj.TRAJECTORIES, litraj.CENTROIDS}:
        return []
    ids = tuple(litraj.label_conflicts(name, folder))
    if not ids:
        return []
    message = f"{some(ids)}: its table and its structures tell another barrier or split."
    return [Finding("error", "conflicting labels", message, ids)]
