"""The hops that descriptors are timed on: devi2025's where its files are at hand, else reference hops."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from flows.bench.structures import WORKING_ION, reference_materials
from tasks.datasets import devi2025
from tasks.datasets.errors import DatasetError
from tasks.hops.network import hop_network
from tasks.hops.path import hop_environment
from tasks.hops.relax import relaxed_environments

if TYPE_CHECKING:
    from pathlib import Path

    from pymatgen.core import Structure

    from tasks.hops.path import HopEnvironment

BATCH = 20
"""Hops relaxed at once."""


@dataclass(frozen=True)
class TimedHop:
    """A hop with its relaxed path, and the structure with both ends filled that a peer starts from.

    Parameters
    ----------
    name : str
        What it is called.
    structure : Structure
        The crystal.
    i, j : int
        The end sites.
    image : tuple of int
        The cell of the second.
    environment : HopEnvironment
        Path and surroundings.
    """

    name: str
    structure: Structure
    i: int
    j: int
    image: tuple[int, int, int]
    environment: HopEnvironment


def timed_hops(count: int) -> tuple[str, list[TimedHop]]:
    """Return so many hops, spread over the set that there is, and what they are in words.

    Parameters
    ----------
    count : int
        Most hops.

    Returns
    -------
    tuple
        The words, and the hops with their relaxed paths.
    """
    try:
        folder = devi2025.find_data_dir()
    except DatasetError:
        return "the shortest hop of each reference structure (devi2025 is not here)", _of_references(count)
    return "hops of devi2025, spread over all of them", _of_devi2025(folder, count)


def _of_devi2025(folder: Path, count: int) -> list[TimedHop]:
    """Return published hops, evenly spread over both files; what their barriers are plays no part."""
    splits: tuple[devi2025.Split, ...] = ("train", "test")
    entries = [(split, entry) for split in splits for entry in devi2025.read_entries(folder, split)]
    rows = np.unique(np.linspace(0, len(entries) - 1, min(count, len(entries))).round().astype(int))
    found: list[TimedHop] = []
    for split in splits:
        chosen = [entries[row][1] for row in rows if entries[row][0] == split]
        for start in range(0, len(chosen), BATCH):
            part = chosen[start : start + BATCH]
            hops = devi2025.relaxed_hops(part, split)
            found += [
                TimedHop(hop.hop_id, devi2025.structure_of(entry), 0, 1, (0, 0, 0), hop.environment)
                for entry, hop in zip(part, hops, strict=True)
            ]
    return found


def _of_references(count: int) -> list[TimedHop]:
    """Return the shortest hop of each of so many reference structures."""
    found: list[TimedHop] = []
    for material in reference_materials():
        for hop in hop_network(material.structure, WORKING_ION).hops[:1]:
            if len(found) == count:
                return found
            cut = partial(
                hop_environment,
                material.structure,
                material.charges,
                hop.i,
                hop.j,
                hop.image,
                working_ion=WORKING_ION,
            )
            env = relaxed_environments([cut])[0]
            found.append(TimedHop(material.name, material.structure, hop.i, hop.j, hop.image, env))
    return found
