"""Labelled hops as arrays: data sets are read, described over a pool of processes, and handed to a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from flows.known_tests import warned_of_known_tests
from flows.progress import reporter
from flows.running.plain import PlainSteps
from flows.running.processes import BatchPool
from models.arrays import LabelledArrays
from tasks.datasets import own
from tasks.datasets.errors import DatasetError, NoSuchSplitError
from tasks.datasets.overlap import refuse_overlap
from tasks.datasets.reading import records_or_refuse, splits_of
from tasks.datasets.records import SPLITS, HopRecord, Split, relax
from tasks.datasets.registry import PUBLISHED, is_own, require
from tasks.descriptors.assemble import INPUT_SPEC, describe_batch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SplitName = Literal["train", "val", "test", "all"]
BATCH = 10
DESCRIBING = "describing hops"

_described: dict[tuple[Any, ...], LabelledArrays] = {}
"""Splits that this process has described already, by name, split, and the state of the data set's files."""


def describe_records(work: tuple[str, list[HopRecord]]) -> tuple[list[dict[str, Any]], Any]:
    """Describe some hops of a data set, in a worker process.

    Returns
    -------
    tuple
        Labels of the hops, and their arrays by group. They are small: a few kilobytes a hop.
    """
    name, records = work
    hops = relax(records)
    labels = [
        {
            "id": f"{name}:{hop.hop_id}",
            "host": hop.host_formula,
            "ion": hop.ion,
            "barrier_ev": hop.barrier_ev,
            "method": hop.method,
        }
        for hop in hops
    ]
    return labels, describe_batch([hop.environment for hop in hops])


def names_of(dataset: str | Sequence[str]) -> tuple[str, ...]:
    """Return the data sets that are named, one or several, by commas or as a list.

    Raises
    ------
    DatasetError
        When none is named, or one twice.
    """
    listed = [dataset] if isinstance(dataset, str) else list(dataset)
    names = [name.strip() for text in listed for name in text.split(",")]
    if not all(names) or not names or len(set(names)) < len(names):
        raise DatasetError(
            f"--dataset {','.join(listed)}: give each data set once, by commas, and none empty"
        )
    return tuple(names)


def load_labelled(
    dataset: str | Sequence[str], split: SplitName, *, data_dir: str | None = None, workers: int = 2
) -> LabelledArrays:
    """Read and describe hops of one or several data sets.

    Parameters
    ----------
    dataset : str or sequence of str
        Name of a data set, or several, as a list or by commas: devi2025, nebDFT2k, nebBVSE122k, own-NAME.
    split : {"train", "val", "test", "all"}
        The split that its authors published; "all" gives the training rows, then those of validation, then
        those of the test. Each is in the order of its ids, which begin with the data set's name, and what
        this process has described once is not described again.
    data_dir : str, optional
        Folder that holds the data sets' folders.
    workers : int
        Processes that describe.

    Raises
    ------
    DatasetError
        When there is no such data set or split, its files are not found or not what they should be, or two
        data sets hold the same hop.
    """
    return load_labelled_many(names_of(dataset), split, data_dir=data_dir, workers=workers)[0]


def load_labelled_many(
    datasets: Sequence[str], split: SplitName, *, data_dir: str | None = None, workers: int = 2
) -> tuple[LabelledArrays, str]:
    """Read and describe hops of several data sets, one after another.

    Parameters
    ----------
    datasets : sequence of str
        Their names.
    split, data_dir, workers
        As for `load_labelled`. A data set that has no such split is left out where another has it.

    Returns
    -------
    tuple
        The rows, and a text for a model card: which hops of which data sets, whose, under which licence, and
        how their barriers were found; and which are test hops of devi2025 under other ids.

    Raises
    ------
    DatasetError
        As `load_labelled`.
    """
    names = names_of(datasets)
    if split not in {*SPLITS, "all"}:
        raise DatasetError(f"split {split!r}: there is no such split; there are {', '.join(SPLITS)} and all")
    folders = {name: require(name, data_dir) for name in names}
    wanted = {name: _wanted(splits_of(name, folder), split) for name, folder in folders.items()}
    if not any(wanted.values()):
        have = "; ".join(f"{name} has {', '.join(splits_of(name, folders[name]))}" for name in names)
        raise NoSuchSplitError(f"split {split!r}: no hops; {have}")
    if len(names) > 1:
        # All splits, not these alone: a hop that one data set trains on may be another's test.
        refuse_overlap({name: records_or_refuse(name, folders[name], SPLITS) for name in names})
    warning = warned_of_known_tests(names, split, data_dir)
    parts = [(name, part) for name in names for part in wanted[name]]
    rows = {key: _split(key[0], key[1], folders[key[0]], workers) for key in parts}
    texts = [
        _told(name, folders[name], {part: rows[name, part] for part in wanted[name]})
        for name in names
        if wanted[name]
    ]
    return joined(list(rows.values())), " ".join([*texts, *([warning] if warning else [])])


def _wanted(have: Sequence[Split], split: SplitName) -> tuple[Split, ...]:
    return tuple(have) if split == "all" else tuple(part for part in have if part == split)


def _told(name: str, folder: Path, rows: dict[Split, LabelledArrays]) -> str:
    """Return what a model card says of the hops of one data set."""
    used = " and ".join(f"{len(part)} {split}" for split, part in rows.items())
    unused = [split for split in splits_of(name, folder) if split not in rows]
    rest = f"; its {' and '.join(unused)} hops were not used" if unused else ""
    if is_own(name):
        about = own.read_about(folder)
        sources, licence, methods = "one's own", about["licence"], ", ".join(about["methods"])
    else:
        known = PUBLISHED[name]
        sources, licence, methods = ", ".join(known.references), known.licence, known.method
    return f"{name}: {used} hops ({sources}; licence: {licence}; barriers: {methods}){rest}."


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
        methods=tuple(method for part in parts for method in part.methods),
    )


def _split(name: str, split: Split, folder: Path, workers: int) -> LabelledArrays:
    """Return one split, described now or earlier by this process."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    states = tuple((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files)
    key = (name, split, str(folder.resolve()), states)
    if key not in _described:
        records = records_or_refuse(name, folder, {split})
        if not records:
            raise DatasetError(f"{name}: its {split} split holds no hops; see lihop data verify {name}")
        _described[key] = _describe(name, records, workers)
    return _described[key]


def _describe(name: str, records: list[HopRecord], workers: int) -> LabelledArrays:
    """Describe hops over a pool of processes, in the order of their ids."""
    work = [(name, records[start : start + BATCH]) for start in range(0, len(records), BATCH)]
    reporter().stage(DESCRIBING, len(records))
    labels: list[dict[str, Any]] = []
    groups: list[Any] = []
    with BatchPool(workers) as pool:
        for piece, found in PlainSteps(pool).over_pool("describe", describe_records, work):
            if isinstance(found, Exception):
                raise found
            labels += found[0]
            groups.append(found[1])
            reporter().advance(DESCRIBING, len(piece[1]))
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
        methods=tuple(labels[k]["method"] for k in order),
    )
