"""devi2025: 619 migration barriers from the literature's DFT-NEB calculations, as labelled hops.

Each entry's first five sites are the moving ion at five evenly spaced points of the straight path. The first
and the last are the hop's end sites; the three between are pictures of the same ion and no atoms, so they
are dropped. The rest is the host, read as it stands: whatever other working ions it holds stay, and nothing
is added.

References
----------
Devi, Balasubramanian, Butler and Sai Gautam, arXiv:2508.06459 (data) and arXiv:2508.06436 (models, split).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pymatgen.core import Structure

from tasks.datasets.errors import DatasetError
from tasks.datasets.records import Crystal, HopRecord, LabelledHop, labelled, relax

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Split = Literal["train", "test"]

NAME = "devi2025"
FILES: dict[Split, str] = {"train": "train_5images.json", "test": "test_5images.json"}
COUNTS: dict[Split, int] = {"train": 559, "test": 60}
N_IMAGES = 5
METHOD = "DFT-NEB of the literature, functionals mixed"

SAME_SITE_ANG = 0.5
"""A host atom of the moving element this near to an end is that end's own atom, written twice."""


def find_data_dir(explicit: Path | None = None) -> Path:
    """Return the folder that holds devi2025's files.

    Parameters
    ----------
    explicit : Path, optional
        The folder itself, or one that holds a folder `devi2025`. When given, nothing else is looked at; else
        LIHOP_DATA_DIR, ./data and ../shared/data are, in this order.

    Returns
    -------
    Path
        A folder with both files.

    Raises
    ------
    DatasetError
        If none of them has the files.
    """
    if explicit is not None:
        places = [explicit]
    elif os.environ.get("LIHOP_DATA_DIR"):
        places = [Path(os.environ["LIHOP_DATA_DIR"])]
    else:
        places = [Path("data"), Path("..") / "shared" / "data"]
    for place in places:
        for folder in (place / NAME, place):
            if all((folder / name).is_file() for name in FILES.values()):
                return folder
    looked = ", ".join(str(place) for place in places)
    raise DatasetError(
        f"No {NAME} in {looked}: it needs {' and '.join(FILES.values())}. "
        f"Get them with lihop data fetch {NAME}, give --data-dir, set LIHOP_DATA_DIR, or put the files into "
        f"data/{NAME}."
    )


def read_entries(data_dir: Path, split: Split) -> list[dict[str, Any]]:
    """Return one split's entries as published.

    Parameters
    ----------
    data_dir : Path
        Folder with the files.
    split : {"train", "test"}
        Which file.

    Returns
    -------
    list of dict
        The entries in the file's order.

    Raises
    ------
    DatasetError
        If the file is missing, no JSON, or does not hold the published number of entries.
    """
    path = data_dir / FILES[split]
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DatasetError(f"{path} does not exist: give the folder that holds {FILES[split]}.") from error
    except json.JSONDecodeError as error:
        raise DatasetError(f"{path} is no JSON ({error}): fetch it again.") from error
    if not isinstance(entries, list) or len(entries) != COUNTS[split]:
        got = len(entries) if isinstance(entries, list) else type(entries).__name__
        raise DatasetError(f"{path} holds {got} entries instead of {COUNTS[split]}: fetch it again.")
    return entries


def structure_of(entry: dict[str, Any]) -> Structure:
    """Return the full structure of an entry: sites 0 and 1 are the filled ends, the rest is the host.

    The final site keeps its unwrapped coordinates, so the hop goes from site 0 to site 1 in image (0, 0, 0).
    Two entries hold an end's own atom among the host too; it is kept once.

    Parameters
    ----------
    entry : dict
        One entry as published.

    Returns
    -------
    Structure
        The crystal with each end site present exactly once.

    Raises
    ------
    DatasetError
        If the first five sites are not one ion at evenly spaced points.
    """
    atoms = entry["atoms"]
    lattice = np.asarray(atoms["lattice_mat"], dtype=np.float64)
    coords = np.asarray(atoms["coords"], dtype=np.float64)
    frac = coords @ np.linalg.inv(lattice) if atoms["cartesian"] else coords
    elements = [str(symbol).strip() for symbol in atoms["elements"]]
    steps = np.diff(frac[:N_IMAGES], axis=0)
    steps -= np.round(steps)
    even = len(frac) > N_IMAGES and np.abs((steps - steps.mean(axis=0)) @ lattice).max() < SAME_SITE_ANG
    if not even or len(set(elements[:N_IMAGES])) != 1:
        raise DatasetError(
            f"Entry {entry.get('jid')}: its first five sites are not one ion at evenly spaced points."
        )
    ends = np.array([frac[0], frac[0] + steps.sum(axis=0)])
    host, host_elements = frac[N_IMAGES:], np.array(elements[N_IMAGES:])
    kept = np.ones(len(host), dtype=bool)
    for end in ends:
        apart = host - end
        apart -= np.round(apart)
        # Rounding finds the nearest image here: half an Å is far below half of any lattice spacing.
        kept &= ~((np.linalg.norm(apart @ lattice, axis=1) < SAME_SITE_ANG) & (host_elements == elements[0]))
    species = [elements[0], elements[0], *host_elements[kept].tolist()]
    return Structure(lattice, species, np.concatenate([ends, host[kept]]), to_unit_cell=False)


def record_of(entry: dict[str, Any], split: Split) -> HopRecord:
    """Return one entry as it was read.

    Raises
    ------
    DatasetError
        If the first five sites are not one ion at evenly spaced points.
    """
    structure = structure_of(entry)
    twice = len(entry["atoms"]["elements"]) - (N_IMAGES - 2) - len(structure)
    total = structure.composition.get_el_amt_dict()[structure[0].specie.symbol]
    return HopRecord(
        hop_id=f"{split}-{entry['jid']}",
        name=str(entry["sys_name"]),
        split=split,
        crystal=Crystal.of(structure),
        i=0,
        j=1,
        image=(0, 0, 0),
        barrier_ev=float(entry["target"]),
        method=METHOD,
        host_ion_fraction=(total - 2.0) / total,
        note="the file holds an end's own atom among the host too; it is kept once" if twice else "",
    )


def hop_of(entry: dict[str, Any], split: Split) -> LabelledHop:
    """Return one entry as a labelled hop with its straight path.

    Parameters
    ----------
    entry : dict
        One entry as published.
    split : {"train", "test"}
        The file that it comes from.

    Returns
    -------
    LabelledHop
        With the environment of its straight path.
    """
    record = record_of(entry, split)
    return labelled(record, record.cut()())


def relaxed_hops(entries: Sequence[dict[str, Any]], split: Split) -> list[LabelledHop]:
    """Return entries as labelled hops with relaxed paths.

    Parameters
    ----------
    entries : sequence of dict
        Entries as published.
    split : {"train", "test"}
        The file that they come from.

    Returns
    -------
    list of LabelledHop
        In the order given; `HopEnvironment.relaxed` says how each relaxation went.
    """
    return relax([record_of(entry, split) for entry in entries])


def iterate(data_dir: Path, split: Split | Literal["all"] = "all") -> Iterator[LabelledHop]:
    """Yield labelled hops one at a time, train before test, in the files' order."""
    wanted: tuple[Split, ...] = ("train", "test") if split == "all" else (split,)
    for part in wanted:
        for entry in read_entries(data_dir, part):
            yield hop_of(entry, part)


def load(data_dir: Path, split: Split | Literal["all"] = "all") -> list[LabelledHop]:
    """Return the labelled hops of a split.

    Parameters
    ----------
    data_dir : Path
        Folder with the files, as `find_data_dir` gives it.
    split : {"train", "test", "all"}
        Which of them; "all" gives train before test.

    Returns
    -------
    list of LabelledHop
        In the files' order.
    """
    return list(iterate(data_dir, split))
