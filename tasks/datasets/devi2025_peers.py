"""What others predict of devi2025's hops: its authors' MODEL-3, and nudged elastic bands under MACE-MP-0.

Both files lie beside the data set. A figure is given to a hop only where no doubt is left whose it is.

References
----------
Devi, Balasubramanian, Butler and Sai Gautam, arXiv:2508.06459 (MACE-MP-0) and arXiv:2508.06436 (MODEL-3).
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.datasets import devi2025
from tasks.datasets.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

MODEL3, NEB_RELAXED, NEB_UNRELAXED = "model3", "mace_mp0_neb_relaxed", "mace_mp0_neb_unrelaxed"
MODEL3_FILE, NEB_FILE = "peer_test_predictions.csv", "tabulation.csv"
NEB_COLUMNS = {NEB_RELAXED: "mace_mp0_neb_relaxed_ev", NEB_UNRELAXED: "mace_mp0_neb_unrelaxed_ev"}

SAME_BARRIER_EV = 0.005
"""Two files that give a hop's DFT barrier this much apart do not speak of the same hop."""


@dataclass(frozen=True)
class PeerBarriers:
    """What one peer predicts.

    Parameters
    ----------
    name : str
        The peer.
    barrier_ev : mapping of str to float
        Its barriers by the ids that `flows.labelled` gives.
    note : str
        How many of the peer's figures were given to a hop, and why others were not.
    """

    name: str
    barrier_ev: Mapping[str, float]
    note: str


def read_peers(data_dir: Path) -> list[PeerBarriers]:
    """Return every peer's barriers; of a file that is not there the note says so.

    Parameters
    ----------
    data_dir : Path
        Folder with the data set's files and the peers'.

    Raises
    ------
    DatasetError
        If the data set's files, or a column, are missing, or a figure is no number.
    """
    entries = {
        f"{devi2025.NAME}:{split}-{entry['jid']}": entry
        for split in devi2025.FILES
        for entry in devi2025.read_entries(data_dir, split)
    }
    tested = {identifier: entry for identifier, entry in entries.items() if ":test-" in identifier}
    found = [_given(MODEL3, data_dir / MODEL3_FILE, "model3_ev", "target_ev", tested)]
    for name, column in NEB_COLUMNS.items():
        found.append(_given(name, data_dir / NEB_FILE, column, "barrier_ev", entries))
    return found


def _given(
    name: str, path: Path, column: str, truth: str, entries: Mapping[str, dict[str, Any]]
) -> PeerBarriers:
    """Give a file's figures to entries: one row and one entry have the name, and the barriers agree."""
    if not path.is_file():
        return PeerBarriers(name, {}, f"{path.name} is not there, so {name} has no figures")
    rows = _rows(path, ("sys_name", column, truth))
    row_of = _unique((_name(row), row) for row in rows)
    id_of = _unique((_name(entry), identifier) for identifier, entry in entries.items())
    barriers: dict[str, float] = {}
    empty = apart = 0
    for row_name, row in row_of.items():
        identifier = id_of.get(row_name)
        if identifier is None:
            continue
        if abs(_number(path, row, truth) - float(entries[identifier]["target"])) > SAME_BARRIER_EV:
            apart += 1
        elif not row[column].strip():
            empty += 1
        else:
            barriers[identifier] = _number(path, row, column)
    unknown = len(rows) - len(barriers) - empty - apart
    note = (
        f"{name}: {len(barriers)} of {len(entries)} hops have a figure; of {len(rows)} rows of {path.name} "
        f"{empty} are empty, {unknown} have a name that no hop or several have, {apart} another DFT barrier"
    )
    return PeerBarriers(name, barriers, note)


def _name(row: Mapping[str, Any]) -> str:
    # Blanks at an end come and go between the files.
    return str(row["sys_name"]).strip()


def _unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return what names stand for, without names that stand for several things."""
    listed = list(pairs)
    counts = Counter(name for name, _ in listed)
    return {name: value for name, value in listed if counts[name] == 1}


def _rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise DatasetError(f"{path} has no column {', '.join(missing)}: fetch it again.")
        return [{key: value or "" for key, value in row.items() if key is not None} for row in reader]


def _number(path: Path, row: Mapping[str, str], column: str) -> float:
    try:
        return float(row[column])
    except ValueError as error:
        raise DatasetError(
            f"{path}: {row['sys_name']} has {row[column]!r} as {column}, which is no number; fetch it again."
        ) from error
