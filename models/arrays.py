"""Checked arrays: the inputs of a model and labelled rows, in numpy alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.errors import InputError
from models.specs import GROUP_NAMES, GroupName, InputSpec

if TYPE_CHECKING:
    from models.specs import GroupSpec

FloatArray = NDArray[np.float32]
Inputs = Mapping[str, FloatArray]


def check_inputs(inputs: Mapping[str, NDArray[np.floating]], spec: InputSpec) -> dict[str, FloatArray]:
    """Return the groups of ``spec`` as float32 arrays, or say what is wrong with them.

    Parameters
    ----------
    inputs : mapping of str to ndarray
        One array a group, ``(n, *shape)``. NaN means that a descriptor does not exist. Never modified.
        Descriptor groups that the model does not take are left aside, so that one description of a hop
        serves models of all groups and of some.
    spec : InputSpec
        The groups that the model takes.

    Raises
    ------
    InputError
        If a group is missing, of another shape, of another length, or holds an infinity, or if a name is
        that of no descriptor group.
    """
    wanted = spec.names()
    missing = [name for name in wanted if name not in inputs]
    unknown = [name for name in inputs if name not in GROUP_NAMES]
    if missing or unknown:
        raise InputError(
            f"got the descriptor groups {sorted(inputs)}, the model takes {list(wanted)} and leaves others "
            f"of {list(GROUP_NAMES)} aside: missing {missing}, unknown {unknown}"
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
    methods : tuple of str
        How each barrier was found; empty where nobody says.
    """

    inputs: Inputs
    barrier_ev: NDArray[np.float64]
    ids: tuple[str, ...]
    hosts: tuple[str, ...]
    ions: tuple[str, ...]
    spec: InputSpec
    methods: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", check_inputs(self.inputs, self.spec))
        barriers = np.asarray(self.barrier_ev, dtype=np.float64)
        object.__setattr__(self, "barrier_ev", barriers)
        rows = {name: len(array) for name, array in self.inputs.items()}
        rows |= {"barrier_ev": len(barriers), "ids": len(self.ids)}
        rows |= {"hosts": len(self.hosts), "ions": len(self.ions)}
        rows |= {"methods": len(self.methods)} if self.methods else {}
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
            methods=tuple(self.methods[k] for k in index) if self.methods else (),
        )

    def only(self, groups: Sequence[GroupName]) -> LabelledArrays:
        """Return the same rows with some of the descriptor groups, in the order of ``GROUP_NAMES``.

        Raises
        ------
        InputError
            If a group is not there, or none is named.
        """
        at_hand = {group.name: group for group in self.spec.groups}
        absent = [name for name in groups if name not in at_hand]
        if absent or not groups:
            raise InputError(
                f"asked for the descriptor groups {list(groups)}, at hand are {list(at_hand)}; name one or "
                "more of these"
            )
        kept = tuple(at_hand[name] for name in GROUP_NAMES if name in groups)
        return replace(self, spec=InputSpec(groups=kept))

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
