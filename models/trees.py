"""Extremely randomised trees as plain arrays: fitted by scikit-learn, kept as numbers, asked in torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.ensemble import ExtraTreesRegressor
from torch import Tensor, nn

from models.domain import summary_features
from models.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from models.arrays import FloatArray, Inputs
    from models.standardise import Standardiser

LEAF = -1
SWEEP = 4  # levels after which rows that have arrived are taken off
MAX_FEATURES = 0.4
FIELDS = ("feature", "threshold", "left", "right", "value")


@dataclass(frozen=True)
class TreeEnsemble:
    """Binary regression trees, padded to the nodes of the largest.

    A node sends a row to ``left`` where its ``feature`` is at most ``threshold``, else to ``right``. A leaf
    has the feature -1 and itself as both children, so that a row that has arrived stays.

    Attributes
    ----------
    feature, left, right : Tensor
        Whole numbers, ``(trees, nodes)``.
    threshold, value : Tensor
        float32, ``(trees, nodes)``; the value is a standardised target.
    """

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    value: Tensor

    def __len__(self) -> int:
        return len(self.feature)

    @property
    def n_nodes(self) -> int:
        """Nodes of all trees, padding left out."""
        # A binary tree has one leaf more than it has inner nodes.
        return 2 * int((self.feature != LEAF).sum()) + len(self)

    def tensors(self) -> dict[str, Tensor]:
        """Return everything by name, whole numbers as short as they may be."""
        top = max(int(self.feature.max()), self.feature.shape[1])
        whole = torch.int16 if top <= torch.iinfo(torch.int16).max else torch.int32
        found = {name: getattr(self, name) for name in FIELDS}
        return {
            name: value if value.is_floating_point() else value.to(whole) for name, value in found.items()
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], *, n_features: int) -> TreeEnsemble:
        """Rebuild what ``tensors`` gave.

        Raises
        ------
        CheckpointError
            When a child or a feature lies outside, or a child does not come after its parent: asking such
            trees would read elsewhere or never end.
        """
        trees = cls(**{name: tensors[name] for name in FIELDS})
        shapes = {name: tuple(tensors[name].shape) for name in FIELDS}
        if len(set(shapes.values())) > 1 or trees.feature.ndim != 2:  # noqa: PLR2004
            raise CheckpointError(
                f"trees need arrays of one shape (trees, nodes), got {shapes}; get a fresh copy"
            )
        here = torch.arange(trees.feature.shape[1])
        leaf = trees.feature == LEAF
        for child in (trees.left.long(), trees.right.long()):
            after = (child > here) & (child < trees.feature.shape[1])
            if not torch.where(leaf, child == here, after).all():
                raise CheckpointError(
                    "a tree's node has a child that does not come after it; get a fresh copy"
                )
        if not (leaf | ((trees.feature >= 0) & (trees.feature < n_features))).all():
            raise CheckpointError(
                f"a tree asks for a descriptor beyond the {n_features} that there are; get a fresh copy"
            )
        return trees


class TreeModule(nn.Module):
    """Asks all trees about all rows at once, a level at a time.

    A row near a threshold goes both ways, with shares that change evenly over the band round it. Trees of
    whole steps would answer rounding errors with a jump: the same crystal in another frame would get another
    barrier.

    Parameters
    ----------
    trees : TreeEnsemble
        What is asked.
    band : float
        Half-width of the band, in the features' own units; 0 is a step.
    """

    feature: Tensor
    threshold: Tensor
    below: Tensor
    leaf: Tensor
    value: Tensor
    roots: Tensor

    def __init__(self, trees: TreeEnsemble, band: float) -> None:
        super().__init__()
        start = torch.arange(len(trees))[:, None] * trees.feature.shape[1]
        leaf = (trees.feature.long() == LEAF).reshape(-1)
        # One flat list of nodes for all trees; the children of node k stand at 2 k (left) and 2 k + 1.
        children = torch.stack([trees.left.long() + start, trees.right.long() + start], dim=-1)
        self.register_buffer("below", children.reshape(-1))
        self.register_buffer("leaf", leaf)
        # A leaf asks for any feature and is far from its threshold: whoever has arrived stays.
        self.register_buffer("feature", trees.feature.long().reshape(-1).clamp(min=0))
        far = torch.full_like(trees.threshold.reshape(-1), torch.inf)
        self.register_buffer("threshold", torch.where(leaf, far, trees.threshold.reshape(-1)))
        self.register_buffer("value", trees.value.reshape(-1))
        self.register_buffer("roots", start[:, 0])
        self.band = band

    def forward(self, features: Tensor) -> Tensor:
        """Return the mean over the trees, ``(n,)``, of rows ``(n, features)``."""
        # index_select throughout: indexing by brackets takes more than twice the time for the same.
        n_rows, width = features.shape
        flat = features.reshape(-1)
        row = torch.arange(n_rows, device=features.device).repeat_interleave(len(self.roots))
        node = self.roots.repeat(n_rows)
        share = torch.ones(len(row), dtype=torch.float64, device=features.device)
        # In double precision: what a row gets must not hang on which others it is summed with.
        total = torch.zeros(n_rows, dtype=torch.float64, device=features.device)
        level = 0
        while len(row):
            asked = flat.index_select(0, row * width + self.feature.index_select(0, node))
            above = asked - self.threshold.index_select(0, node)
            to_right = (above > 0).long()
            near = (above.abs() < self.band).nonzero()[:, 0]
            children = 2 * node
            node = self.below.index_select(0, children + to_right)
            if len(near):
                # Near a threshold a row goes both ways: on along its own side, and a copy along the other.
                other_side = children.index_select(0, near) + 1 - to_right.index_select(0, near)
                own = 0.5 + above.index_select(0, near).double().abs() / (2 * self.band)
                whole = share.index_select(0, near)
                share.index_copy_(0, near, whole * own)
                share = torch.cat([share, whole * (1 - own)])
                node = torch.cat([node, self.below.index_select(0, other_side)])
                row = torch.cat([row, row.index_select(0, near)])
            level += 1
            if level % SWEEP == 0:
                at_leaf = self.leaf.index_select(0, node)
                here, onward = at_leaf.nonzero()[:, 0], (~at_leaf).nonzero()[:, 0]
                value = self.value.index_select(0, node.index_select(0, here))
                total.index_add_(0, row.index_select(0, here), share.index_select(0, here) * value)
                row, node, share = (kept.index_select(0, onward) for kept in (row, node, share))
        return (total / len(self.roots)).to(features.dtype)


def fit_trees(features: FloatArray, target: FloatArray, *, n_trees: int, seed: int) -> TreeEnsemble:
    """Fit extremely randomised trees (Geurts et al. 2006, 10.1007/s10994-006-6226-1).

    Parameters
    ----------
    features : ndarray
        ``(n, features)``, finite.
    target : ndarray
        Standardised targets, ``(n,)``.
    n_trees : int
        How many.
    seed : int
        Decides splits and features.
    """
    forest = ExtraTreesRegressor(
        n_estimators=n_trees, min_samples_leaf=1, max_features=MAX_FEATURES, random_state=seed, n_jobs=1
    )
    forest.fit(features, target)
    grown = [estimator.tree_ for estimator in forest.estimators_]
    n_nodes = max(tree.node_count for tree in grown)
    here = np.arange(n_nodes)
    parts: dict[str, list[NDArray[np.generic]]] = {name: [] for name in FIELDS}
    for tree in grown:
        leaf = tree.children_left == LEAF
        own = here[: tree.node_count]
        parts["feature"].append(_padded(np.where(leaf, LEAF, tree.feature), n_nodes, LEAF))
        parts["threshold"].append(_padded(_rounded_down(np.where(leaf, 0.0, tree.threshold)), n_nodes, 0))
        for side, children in (("left", tree.children_left), ("right", tree.children_right)):
            parts[side].append(np.concatenate([np.where(leaf, own, children), here[tree.node_count :]]))
        parts["value"].append(
            _padded(np.where(leaf, tree.value[:, 0, 0], 0.0).astype(np.float32), n_nodes, 0)
        )
    return TreeEnsemble(**{name: torch.from_numpy(np.stack(found)) for name, found in parts.items()})


def tree_features(standardiser: Standardiser, inputs: Inputs) -> FloatArray:
    """Return what trees take, one row a hop: an image as its mean, minimum and maximum along the path."""
    return np.concatenate(list(summary_features(standardiser.z_scores(inputs)).values()), axis=1)


def _padded(values: NDArray[np.generic], length: int, fill: float) -> NDArray[np.generic]:
    return np.concatenate([values, np.full(length - len(values), fill, dtype=values.dtype)])


def _rounded_down(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest float32 not above each threshold: every float32 falls on the same side of both."""
    rounded = threshold.astype(np.float32)
    above = rounded.astype(np.float64) > threshold
    return np.where(above, np.nextafter(rounded, np.float32(-np.inf)), rounded)
