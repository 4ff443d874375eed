"""An ensemble asked again with some descriptors changed, computing only what they change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from models.arrays import check_inputs
from models.domain import summary_features
from models.lightning import reproducible
from models.networks import directions, mean_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from models.arrays import Inputs
    from models.ensemble import Ensemble
    from models.specs import GroupName, InputSpec

What = Literal["key", "family", "group"]


@dataclass(frozen=True)
class Subject:
    """Descriptors that are changed together.

    Attributes
    ----------
    what : {"key", "family", "group"}
        One descriptor, some that say nearly the same, or a whole group.
    name : str
        The key, the family or the group.
    keys : dict of str to tuple of int
        Positions of the keys, by group.
    """

    what: What
    name: str
    keys: dict[GroupName, tuple[int, ...]]

    @property
    def n_keys(self) -> int:
        """How many descriptors they are."""
        return sum(len(places) for places in self.keys.values())


def subjects_of(
    spec: InputSpec, families: Mapping[str, Mapping[GroupName, Sequence[str]]] | None = None
) -> list[Subject]:
    """Return every group, every family and every key of a specification, in this order.

    Parameters
    ----------
    spec : InputSpec
        The descriptors that there are.
    families : mapping, optional
        Name of each family to its keys by group. Groups and keys that are not in `spec` are left aside, and
        so is a family of which nothing is left.
    """
    place = {group.name: {key: k for k, key in enumerate(group.keys)} for group in spec.groups}
    found = [Subject("group", g.name, {g.name: tuple(range(len(g.keys)))}) for g in spec.groups]
    for name, members in (families or {}).items():
        keys = {
            group: tuple(place[group][key] for key in named if key in place[group])
            for group, named in members.items()
            if group in place
        }
        held = {group: places for group, places in keys.items() if places}
        if held:
            found.append(Subject("family", name, held))
    found += [Subject("key", key, {g.name: (k,)}) for g in spec.groups for k, key in enumerate(g.keys)]
    return found


class PerturbedEnsemble:
    """An ensemble's answers about some hops when some of their descriptors are changed.

    Changes are made to standardised descriptors, where 0 is the mean of the training rows, and take the
    missing-indicators along.

    Parameters
    ----------
    ensemble : Ensemble
        What is asked.
    inputs : mapping of str to ndarray
        The hops, one array a group.
    """

    def __init__(self, ensemble: Ensemble, inputs: Inputs) -> None:
        self.ensemble = ensemble
        checked = check_inputs(inputs, ensemble.spec)
        arrays = ensemble.standardiser.transform(checked)
        self.values = {name: torch.from_numpy(array) for name, array in arrays.items()}
        # Trees take other numbers of the same keys, in the same places.
        self.tree_values: dict[str, Tensor] = {}
        self._trees = ensemble.tree_module()
        if self._trees is not None:
            z_scores = ensemble.standardiser.z_scores(checked)
            self.tree_values = {name: torch.from_numpy(array) for name, array in z_scores.items()}
        with torch.inference_mode(), reproducible(seed=None):
            self._parts = [
                [
                    {name: member.part(name, value) for name, value in given.items()}
                    for given in directions(member, self.values)
                ]
                for member in ensemble.members
            ]
        self.log_barriers = self.predict({})

    def permuted(self, subject: Subject, orders: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return log barriers with a subject's values taken from other rows, ``(repeats, n, members)``.

        Parameters
        ----------
        subject : Subject
            What is permuted; its keys move together.
        orders : ndarray of int
            Permutations of the rows, ``(repeats, n)``.
        """
        rows = torch.from_numpy(orders.reshape(-1))

        def shuffled(value: Tensor, columns: list[int]) -> Tensor:
            copies = value.repeat(len(orders), *(1,) * (value.ndim - 1))
            copies[:, columns] = value[rows][:, columns]
            return copies

        found = self.predict(*self._changed(subject, shuffled))
        return found.reshape(len(orders), -1, found.shape[1])

    def occluded(self, subject: Subject) -> NDArray[np.float64]:
        """Return log barriers with a subject's keys at the mean of the training rows, ``(n, members)``."""

        def at_mean(value: Tensor, columns: list[int]) -> Tensor:
            copy = value.clone()
            copy[:, columns] = 0.0
            return copy

        return self.predict(*self._changed(subject, at_mean))

    def predict(
        self, changed: Mapping[str, Tensor], changed_for_trees: Mapping[str, Tensor] | None = None
    ) -> NDArray[np.float64]:
        """Return log barriers with whole standardised groups replaced, ``(copies * n, members)``.

        Parameters
        ----------
        changed : mapping of str to Tensor
            The groups that differ, ``(copies * n, ...)``; the hops follow one another in each copy.
        changed_for_trees : mapping of str to Tensor, optional
            The same in what trees take, if there are trees.
        """
        n_rows = len(next(iter(self.values.values())))
        copies = max([len(value) // max(n_rows, 1) for value in changed.values()], default=1)
        columns = []
        with torch.inference_mode(), reproducible(seed=None):
            for member, parts in zip(self.ensemble.members, self._parts, strict=True):
                answers = [
                    member.fuse({
                        name: member.part(name, given[name]) if name in given else kept.repeat(copies, 1)
                        for name, kept in known.items()
                    })
                    for given, known in zip(directions(member, changed), parts, strict=True)
                ]  # fmt: skip
                columns.append(mean_of(answers))
            if self._trees is not None:
                columns.append(self._trees(self._tree_features(changed_for_trees or {}, copies)))
            targets = torch.stack(columns, dim=1)
        return self.ensemble.averaged(targets.numpy())

    def _tree_features(self, changed: Mapping[str, Tensor], copies: int) -> Tensor:
        whole = {
            name: changed[name] if name in changed else value.repeat(copies, *(1,) * (value.ndim - 1))
            for name, value in self.tree_values.items()
        }
        parts = summary_features({name: value.numpy() for name, value in whole.items()})
        return torch.from_numpy(np.concatenate(list(parts.values()), axis=1))

    def _changed(
        self, subject: Subject, change: Callable[[Tensor, list[int]], Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return the groups of a subject with its columns changed, for networks and for trees."""
        columns = self._columns(subject)
        networks = {name: change(self.values[name], places) for name, places in columns.items()}
        if self._trees is None:
            return networks, {}
        return networks, {name: change(self.tree_values[name], places) for name, places in columns.items()}

    def _columns(self, subject: Subject) -> dict[str, list[int]]:
        """Return the columns of a subject in the standardised arrays: its values and their indicators."""
        groups = {group.name: group for group in self.ensemble.spec.groups}
        found = {}
        for name, places in subject.keys.items():
            n_keys = len(groups[name].keys)
            missing = self.ensemble.standardiser.groups[name].ever_missing
            indicators = [n_keys + nth for nth, key in enumerate(missing) if key in places]
            found[str(name)] = [*places, *indicators]
        return found
