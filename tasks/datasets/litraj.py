"""LiTraj's hops in their published layout: nebDFT2k's trajectories, and nebBVSE122k's centroid supercells.

nebDFT2k is a table `nebDFT2k_index.csv` (material_id, edge_id, chemsys, em_bvse, em_dft, _split, ...) and for
each edge_id a file `{edge_id}_init.xyz`, extended XYZ, of the images of a trajectory from the one end to the
other: a supercell in which the moving ion stands at one place an image, and its vacant end stays empty. The
first and the last image give the ends; the crystal is taken as it stands there, as a screening would have it.

nebBVSE122k is `nebBVSE122k_{train,val,test}.xyz`: a supercell a hop with an atom `X` halfway between the
ends, and edge_id, material_id and em among what a frame says of itself. Its table repeats them.

An edge_id is `{material_id}_{source}_{target}_{ox}_{oy}_{oz}`: sites of the unit cell, and the cell of the
target.

References
----------
Dembitskiy et al., npj Comput. Mater. 11, 131 (2025), doi:10.1038/s41524-025-01571-z.
"""

from __future__ import annotations

import csv
import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.datasets.centroids import MARK, ends_about
from tasks.datasets.errors import DatasetError, UnreadableHopError
from tasks.datasets.records import SPLITS, Crystal, HopRecord, Split

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

TRAJECTORIES = "nebDFT2k"
CENTROIDS = "nebBVSE122k"
METHODS = {TRAJECTORIES: "DFT-NEB, PBE", CENTROIDS: "BVSE-NEB"}
ION = "Li"

NEXT_FASTEST = 0.5
"""No other ion moves more than this share of what the moving one does: else several move together."""

TAKEN_ANG = 0.7
"""An ion this near to the end is the end's own."""

SAME_LABEL_EV = 1e-3
"""What a frame and the table say of a barrier agrees this well."""


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of an index table.

    Raises
    ------
    DatasetError
        If it is missing or is no table.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError as error:
        raise DatasetError(f"{path} does not exist: give the folder that holds it") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path} is no table ({error}): fetch it again") from error
    if not rows:
        raise DatasetError(f"{path} holds no rows: fetch it again")
    return rows


def entries(name: str, folder: Path) -> Iterator[tuple[str, Split, Any]]:
    """Yield what the hops of a LiTraj data set are read from: an id, the split, and the row or frame.

    Raises
    ------
    DatasetError
        If a file is missing, or has not the columns that it should.
    """
    if name == CENTROIDS:
        yield from _frames(folder)
        return
    path = folder / f"{TRAJECTORIES}_index.csv"
    rows = read_table(path)
    missing = {"edge_id", "em_dft", "_split"} - set(rows[0])
    if missing:
        raise DatasetError(
            f"{path}: the columns {', '.join(sorted(missing))} are missing, there are {', '.join(rows[0])}"
        )
    for number, row in enumerate(rows, 2):
        yield row["edge_id"], split_of(row["_split"], f"{path.name} line {number}"), row


def _frames(folder: Path) -> Iterator[tuple[str, Split, Any]]:
    """Yield the frames of nebBVSE122k; what is missing among them is said by `label_conflicts`."""
    from ase.io import iread

    for split in SPLITS:
        path = folder / f"{CENTROIDS}_{split}.xyz"
        if not path.is_file():
            raise DatasetError(f"{path} does not exist: give the folder that holds it")
        try:
            for number, atoms in enumerate(iread(str(path), index=":", format="extxyz"), 1):
                yield str(atoms.info.get("edge_id", f"frame-{number}")), split, atoms
        except (ValueError, KeyError, IndexError, OSError) as error:
            raise DatasetError(f"{path} is cut off or no extended XYZ ({error}): fetch it again") from error


def split_of(text: str, where: str) -> Split:
    """Return a split by its name.

    Raises
    ------
    DatasetError
        If there is no such split.
    """
    for split in SPLITS:
        if text.strip().lower() == split:
            return split
    raise DatasetError(f"{where}: split {text!r}; allowed are {', '.join(SPLITS)}")


def record_of(name: str, folder: Path, entry: tuple[str, Split, Any]) -> HopRecord:
    """Return one hop as it was read.

    Raises
    ------
    UnreadableHopError
        If its file is missing or broken, or is no hop of one ion.
    """
    edge_id, split, source = entry
    if name == CENTROIDS:
        return _of_centroid(edge_id, split, source)
    return _of_trajectory(edge_id, split, source, folder)


def _of_trajectory(edge_id: str, split: Split, row: dict[str, str], folder: Path) -> HopRecord:
    from ase.io import read

    path = folder / f"{edge_id}_init.xyz"
    try:
        images = read(str(path), index=":", format="extxyz")
    except FileNotFoundError as error:
        raise UnreadableHopError(f"{edge_id}: {path.name} is missing; fetch the data set again") from error
    except (ValueError, KeyError, IndexError, OSError) as error:
        raise UnreadableHopError(f"{edge_id}: {path.name} is broken ({error}); fetch it again") from error
    crystal, i, j = crystal_of(images, edge_id)
    return HopRecord(
        hop_id=f"{split}-{edge_id}",
        name=edge_id,
        split=split,
        crystal=crystal,
        i=i,
        j=j,
        image=(0, 0, 0),
        barrier_ev=number(row["em_dft"]),
        method=METHODS[TRAJECTORIES],
    )


def crystal_of(images: list[Any], edge_id: str) -> tuple[Crystal, int, int]:
    """Return the crystal of a trajectory with both ends filled, and the indices of its ends.

    The coordinates of the final end are those the ion comes to without being wrapped, so that the hop stays
    in one cell.

    Raises
    ------
    UnreadableHopError
        If there are fewer than two images, they are not of the same atoms, or several ions move.
    """
    kinds = {tuple(image.numbers.tolist()) for image in images}
    if len(images) < 2 or len(kinds) != 1:  # noqa: PLR2004
        raise UnreadableHopError(
            f"{edge_id}: {len(images)} images of {len(kinds)} sets of atoms; no trajectory"
        )
    cell = np.asarray(images[0].cell, dtype=np.float64)
    frac = np.array([np.asarray(image.positions) @ np.linalg.inv(cell) for image in images])
    steps = np.diff(frac, axis=0)
    travelled = (steps - np.round(steps)).sum(axis=0)
    ions = np.flatnonzero(np.asarray(images[0].symbols) == ION)
    if not len(ions):
        raise UnreadableHopError(f"{edge_id}: no {ION} in its images")
    lengths = np.linalg.norm(travelled @ cell, axis=1)
    i = int(ions[np.argmax(lengths[ions])])
    others = np.delete(lengths, i)
    if len(others) and others.max() > NEXT_FASTEST * lengths[i]:
        raise UnreadableHopError(
            f"{edge_id}: another atom moves {others.max():.2f} Å beside the ion's {lengths[i]:.2f} Å; one "
            "ion may move"
        )
    # Halfway between both ends, so that the crystal does not depend on which of them comes first.
    settled = frac[0] + 0.5 * travelled
    end = frac[0, i] + travelled[i]
    settled[i] = frac[0, i]
    j = _at(settled, end, ions, i, cell)
    symbols = [str(symbol) for symbol in images[0].symbols]
    if j is None:
        j = len(symbols)
        symbols, settled = [*symbols, ION], np.vstack([settled, end])
    else:
        settled[j] = end
    return Crystal(cell, tuple(sys.intern(symbol) for symbol in symbols), settled), i, j


def _at(
    frac: NDArray[np.float64],
    end: NDArray[np.float64],
    ions: NDArray[np.int64],
    i: int,
    cell: NDArray[np.float64],
) -> int | None:
    """Return the ion that already stands at the end; None where the end is vacant."""
    apart = frac[ions] - end
    lengths = np.linalg.norm((apart - np.round(apart)) @ cell, axis=1)
    lengths[ions == i] = np.inf
    nearest = int(np.argmin(lengths))
    return int(ions[nearest]) if lengths[nearest] < TAKEN_ANG else None


def _of_centroid(edge_id: str, split: Split, atoms: Any) -> HopRecord:  # noqa: ANN401 - ase has no types
    symbols = np.array([str(symbol) for symbol in atoms.symbols])
    marks = np.flatnonzero(symbols == MARK)
    if len(marks) != 1 or "em" not in atoms.info:
        raise UnreadableHopError(
            f"{edge_id}: {len(marks)} atoms {MARK} and {'a' if 'em' in atoms.info else 'no'} barrier em; it "
            "needs one of each"
        )
    cell = np.asarray(atoms.cell, dtype=np.float64)
    frac = np.asarray(atoms.positions, dtype=np.float64) @ np.linalg.inv(cell)
    ions = np.flatnonzero(symbols == ION)
    found = ends_about(frac, cell, ions, int(marks[0]), edge_id)
    kept = np.flatnonzero(symbols != MARK)
    place = {int(index): new for new, index in enumerate(kept)}
    return HopRecord(
        hop_id=f"{split}-{edge_id}",
        name=edge_id,
        split=split,
        crystal=Crystal(cell, tuple(sys.intern(symbol) for symbol in symbols[kept].tolist()), frac[kept]),
        i=place[found.i],
        j=place[found.j],
        image=found.image,
        barrier_ev=float(atoms.info["em"]),
        method=METHODS[CENTROIDS],
        note=found.note,
    )


def number(text: str) -> float:
    """Return a number; NaN, which the checks name, for what is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def label_conflicts(name: str, folder: Path) -> list[str]:
    """Return the ids of hops that the table labels otherwise than their own frames, or in another split.

    nebDFT2k's centroid supercells and nebBVSE122k's frames carry the barrier that the table has too; where
    there is no such table or file, there is nothing to compare.
    """
    from ase.io import iread

    table = folder / f"{name}_index.csv"
    column = "em_dft" if name == TRAJECTORIES else "em"
    rows = read_table(table) if table.is_file() else []
    if not rows or not {"edge_id", column} <= set(rows[0]):
        return []
    told = {row["edge_id"]: (number(row[column]), row.get("_split", "")) for row in rows}
    parts = ("centroids",) if name == TRAJECTORIES else SPLITS
    found = []
    for part in parts:
        path = folder / f"{name}_{part}.xyz"
        if not path.is_file():
            continue
        for atoms in iread(str(path), index=":", format="extxyz"):
            edge_id = str(atoms.info.get("edge_id", ""))
            barrier, split = told.get(edge_id, (math.nan, ""))
            other_split = part in SPLITS and split not in {"", part}
            if other_split or not abs(float(atoms.info.get("em", math.nan)) - barrier) <= SAME_LABEL_EV:
                found.append(edge_id)
    return found
