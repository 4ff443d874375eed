"""Labelled hops as arrays: a data set is read, described over a pool of processes, and handed to a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from flows.progress import reporter
from flows.runners import BatchPool, PlainSteps
from models.arrays import LabelledArrays
from tasks.datasets import devi2025
from tasks.datasets.errors import DatasetError
from tasks.descriptors.assemble import INPUT_SPEC, describe_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

DATASETS = ("devi2025",)
BATCH = 10
DESCRIBING = "describing hops"

_described: dict[tuple[str, str, int, int], LabelledArrays] = {}
"""Splits that this process has described already, by file, split, size and time of change."""


def describe_entries(work: tuple[list[dict[str, Any]], devi2025.Split]) -> tuple[list[dict[str, Any]], Any]:
    """Describe some entries of devi2025, in a worker process.

    Returns
    -------
    tuple
        Labels of the hops, and their arrays by group. They are small: a few kilobytes a hop.
    """
    entries, split = work
    hops = devi2025.relaxed_hops(entries, split)
    labels = [
        {
            "id": f"devi2025:{hop.hop_id}",
            "host": hop.host_formula,
            "ion": hop.ion,
            "barrier_ev": hop.barrier_ev,
        }
        for hop in hops
    ]
    return labels, describe_batch([hop.environment for hop in hops])


def load_labelled(
    dataset: str, split: Literal["train", "test", "all"], *, data_dir: str | None = None, workers: int = 2
) -> LabelledArrays:
    """Read and describe hops of a data set.

    Parameters
    ----------
    dataset : str
        Name of the data set; devi2025 is the one there is.
    split : {"train", "test", "all"}
        The split that its authors published; "all" gives the training rows and then the test rows. Each is
        in the order of its ids, and what this process has described once is not described again.
    data_dir : str, optional
        Folder that holds the data set's folder.
    workers : int
        Processes that describe.

    Raises
    ------
    DatasetError
        When there is no such data set or split, or its files are not found or not what they should be.
    """
    if dataset not in DATASETS:
        raise DatasetError(f"--dataset {dataset}: there is no such data set; there are {', '.join(DATASETS)}")
    if split not in (*devi2025.FILES, "all"):
        raise DatasetError(f"split {split!r}: there is no such split; there are train, test and all")
    wanted: tuple[devi2025.Split, ...] = ("train", "test") if split == "all" else (split,)
    folder = devi2025.find_data_dir(None if data_dir is None else Path(data_dir))
    return joined([_split(folder, part, workers) for part in wanted])


def joined(parts: Sequence[LabelledArrays]) -> LabelledArrays:
    """Return the rows of several sets one after another.

    Raises
    ------
    InputError
        When an id stands in two of them.
    """
    if len(parts) == 1:
        return parts[0]
    return LabelledArrays(
        inputs={
            name: np.concatenate([part.inputs[name] for part in parts]) for name in parts[0].spec.names()
        },
        barrier_ev=np.concatenate([part.barrier_ev for part in parts]),
        ids=tuple(identifier for part in parts for identifier in part.ids),
        hosts=tuple(host for part in parts for host in part.hosts),
        ions=tuple(ion for part in parts for ion in part.ions),
        spec=parts[0].spec,
    )


def _split(folder: Path, split: devi2025.Split, workers: int) -> LabelledArrays:
    """Return one split, described now or earlier by this process."""
    path = folder / devi2025.FILES[split]
    entries = devi2025.read_entries(folder, split)
    state = path.stat()
    key = (str(path.resolve()), split, state.st_size, state.st_mtime_ns)
    if key not in _described:
        _described[key] = _describe(entries, split, workers)
    return _described[key]


def _describe(entries: list[dict[str, Any]], split: devi2025.Split, workers: int) -> LabelledArrays:
    """Describe entries over a pool of processes, in the order of their ids."""
    work = [(entries[start : start + BATCH], split) for start in range(0, len(entries), BATCH)]
    reporter().stage(DESCRIBING, len(entries))
    labels: list[dict[str, Any]] = []
    groups: list[Any] = []
    with BatchPool(workers) as pool:
        for piece, found in PlainSteps(pool).over_pool("describe", describe_entries, work):
            if isinstance(found, Exception):
                raise found
            labels += found[0]
            groups.append(found[1])
            reporter().advance(DESCRIBING, len(piece[0]))
    # Batches come as they are done; the order of the rows must not depend on it.
    order = np.argsort([label["id"] for label in labels])
    return LabelledArrays(
        inputs={
            group.name: np.concatenate([part[group.name] for part in groups])[order]
            for group in INPUT_SPEC.groups
        },
        barrier_ev=np.array([labels[k]["barrier_ev"] for k in order]),
        ids=tuple(labels[k]["id"] for k in order),
        hosts=tuple(labels[k]["host"] for k in order),
        ions=tuple(labels[k]["ion"] for k in order),
        spec=INPUT_SPEC,
    )
