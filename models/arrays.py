"""Checked arrays: the inputs of a model and labelled rows, in numpy alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.errors import InputError

if TYPE_CHECKING:
    from models.specs import GroupSpec, InputSpec

FloatArray = NDArray[np.float32]
Inputs = Mapping[str, FloatArray]


def check_inputs(inputs: Mapping[str, NDArray[np.floating]], spec: InputSpec) -> dict[str, FloatArray]:
    """Return the groups of ``spec`` as float32 arrays, or say what is wrong with them.

    Parameters
    ----------
    inputs : mapping of str to ndarray
        One array a group, ``(n, *shape)``. NaN means that a descriptor does not exist. Never modified.
    spec : InputSpec
        The groups that the model takes.

    Raises
    ------
    InputError
        If a group is missing, unknown, of another shape, of another length, or holds an infinity.
    """
    wanted = [group.name for group in spec.groups]
    missing = [name for name in wanted if name not in inputs]
    unknown = [name for name in inputs if name not in wanted]
    if missing or unknown:
        raise InputError(
            f"got the descriptor groups {sorted(inputs)}, the model takes exactly {wanted}: "
            f"missing {missing}, unknown {unknown}"
        )
    arrays: dict[str, FloatArray] = {
        group.name: _check_group(np.asarray(inputs[group.name]), group) for group in spec.groups
    }
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"every group needs the same number of hops, got {lengths}")
    return arrays


def _check_group(array: NDArray[np.floating], group: GroupSpec) -> FloatArray:
    if array.ndim != len(group.shape) + 1 or array.shape[1:] != group.shape:
        raise InputError(
            f"group {group.name!r} has shape {array.shape}, allowed is (n, "
            f"{', '.join(map(str, group.shape))}); give one row a hop, also for a single hop"
        )
    values = array.astype(np.float32)
    if np.isinf(values).any():
        raise InputError(f"group {group.name!r} holds an infinite value; use NaN for what does not exist")
    return values


def id_digest(identifier: str) -> str:
    """Return the digest under which a checkpoint remembers a row it was trained on."""
    return hashlib.sha256(identifier.encode()).hexdigest()


@dataclass(frozen=True)
class LabelledArrays:
    """Labelled hops as arrays.

    Attributes
    ----------
    inputs : mapping of str to ndarray
        One float32 array a group, ``(n, *shape)``.
    barrier_ev : ndarray
        Migration barriers, ``(n,)``, positive.
    ids : tuple of str
        A unique identifier a row.
    hosts : tuple of str
        The host of each row; rows of one host are held out together.
    ions : tuple of str
        The element that moves.
    spec : InputSpec
        What the inputs are.
    """

    inputs: Inputs
    barrier_ev: NDArray[np.float64]
    ids: tuple[str, ...]
    hosts: tuple[str, ...]
    ions: tuple[str, ...]
    spec: InputSpec

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", check_inputs(self.inputs, self.spec))
        barriers = np.asarray(self.barrier_ev, dtype=np.float64)
        object.__setattr__(self, "barrier_ev", barriers)
        rows = {name: len(array) for name, array in self.inputs.items()}
        rows |= {"barrier_ev": len(barriers), "ids": len(self.ids)}
        rows |= {"hosts": len(self.hosts), "ions": len(self.ions)}
        if len(set(rows.values())) > 1:
            raise InputError(f"everything needs one entry a hop, got {rows}")
        if not (np.isfinite(barriers).all() and (barriers > 0).all()):
            raise InputError("barriers are in eV, finite and above zero; drop or correct rows that are not")
        if len(set(self.ids)) != len(self.ids):
            raise InputError("every hop needs an id of its own; the ids hold duplicates")

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: Sequence[int] | NDArray[np.integer]) -> LabelledArrays:
        """Return the given rows, in the given order."""
        index = np.asarray(rows, dtype=np.int64)
        return LabelledArrays(
            inputs={name: array[index] for name, array in self.inputs.items()},
            barrier_ev=self.barrier_ev[index],
            ids=tuple(self.ids[k] for k in index),
            hosts=tuple(self.hosts[k] for k in index),
            ions=tuple(self.ions[k] for k in index),
            spec=self.spec,
        )

    def log_barrier(self) -> NDArray[np.float64]:
        """Return the natural logarithm of the barriers in eV."""
        return np.log(self.barrier_ev)


def host_folds(hosts: Sequence[str], n_folds: int, seed: int) -> NDArray[np.int64]:
    """Assign whole hosts to folds of nearly equal size.

    Hosts are shuffled, then each, largest first, goes to the smallest fold so far.

    Returns
    -------
    ndarray
        The fold of each row, ``(n,)``.
    """
    names, index, counts = np.unique(np.asarray(hosts), return_inverse=True, return_counts=True)
    if len(names) < n_folds:
        raise InputError(f"{n_folds} folds need as many hosts, got {len(names)}; use fewer folds")
    shuffled = np.random.default_rng(seed).permutation(len(names))
    order = shuffled[np.argsort(-counts[shuffled], kind="stable")]
    sizes = np.zeros(n_folds, dtype=np.int64)
    fold_of_host = np.zeros(len(names), dtype=np.int64)
    for host in order:
        fold = int(np.argmin(sizes))
        fold_of_host[host] = fold
        sizes[fold] += counts[host]
    return fold_of_host[index]


def random_folds(n_rows: int, n_folds: int, seed: int) -> NDArray[np.int64]:
    """Assign rows to folds of equal size at random."""
    if n_rows < n_folds:
        raise InputError(f"{n_folds} folds need as many rows, got {n_rows}; use fewer folds")
    return np.random.default_rng(seed).permutation(np.arange(n_rows) % n_folds).astype(np.int64)
