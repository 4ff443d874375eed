"""What every barrier network has in common: what it takes, what it returns and its building blocks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.settings import TrainSettings

IMAGE_NDIM = 2  # channels by path positions, without the batch


@dataclass(frozen=True)
class NetworkShape:
    """What a network is built from: the shape of one row of each group and the settings."""

    sizes: Mapping[str, tuple[int, ...]]
    settings: TrainSettings


class BarrierNetwork(nn.Module, ABC):
    """A network that maps standardised descriptors of hops to standardised log barriers.

    ``forward`` takes one tensor a group, vectors ``(n, keys)`` and images ``(n, channels, positions)``, and
    returns ``(n,)``. It need not be invariant to the direction of the hop: whoever calls it averages over
    both directions, which are images reversed along their last axis.

    Groups meet in ``fuse`` alone, so that who changes one of them need not compute the others again.

    Attributes
    ----------
    names : tuple of str
        The groups that it takes.
    """

    names: tuple[str, ...]

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return standardised log barriers, ``(n,)``."""
        return self.fuse({name: self.part(name, inputs[name]) for name in self.names})

    @abstractmethod
    def part(self, name: str, value: Tensor) -> Tensor:
        """Return what becomes of one group, ``(n, width)``."""

    @abstractmethod
    def fuse(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Return standardised log barriers, ``(n,)``, of the parts of all groups."""


class BranchedNetwork(BarrierNetwork):
    """One branch a descriptor group, concatenated and mapped to one number by a small head."""

    def __init__(self, branches: Mapping[str, nn.Module], width: int, settings: TrainSettings) -> None:
        super().__init__()
        self.names = tuple(branches)
        self.branches = nn.ModuleDict(dict(branches))
        self.head = make_head(width, settings)

    def part(self, name: str, value: Tensor) -> Tensor:
        """Return what a branch makes of its group, ``(n, width)``."""
        features: Tensor = self.branches[name](value)
        return features

    def fuse(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Return standardised log barriers, ``(n,)``, of the parts of all groups."""
        output: Tensor = self.head(torch.cat([parts[name] for name in self.names], dim=1))
        return output.squeeze(-1)


class VectorBranch(nn.Module):
    """A linear map and one residual block."""

    def __init__(self, n_keys: int, width: int, dropout: float) -> None:
        super().__init__()
        self.stem = nn.Linear(n_keys, width)
        self.body = nn.Sequential(
            nn.LayerNorm(width), nn.SiLU(), nn.Dropout(dropout), nn.Linear(width, width)
        )  # fmt: skip

    def forward(self, value: Tensor) -> Tensor:
        """Return features ``(n, width)`` of a vector ``(n, keys)``."""
        start = self.stem(value)
        return nn.functional.silu(start + self.body(start))


def make_head(width: int, settings: TrainSettings) -> nn.Sequential:
    """Return the small network that maps ``width`` fused features to one number."""
    return nn.Sequential(
        nn.Dropout(settings.dropout),
        nn.Linear(width, settings.fused),
        nn.SiLU(),
        nn.Dropout(settings.dropout),
        nn.Linear(settings.fused, 1),
    )


def mean_and_maximum(features: Tensor) -> Tensor:
    """Return mean and maximum along the path, ``(n, 2 width)``, of features ``(n, width, positions)``."""
    return torch.cat([features.mean(dim=-1), features.amax(dim=-1)], dim=1)


def reverse(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the inputs of the reversed hops: images flip along the path, vectors stay."""
    return {name: _flip_image(value) for name, value in inputs.items()}


def _flip_image(value: Tensor) -> Tensor:
    return torch.flip(value, dims=(-1,)) if value.ndim == IMAGE_NDIM + 1 else value


def both_directions(network: nn.Module, inputs: Mapping[str, Tensor]) -> Tensor:
    """Return the mean over both directions of the hop, which does not depend on the direction given."""
    forward: Tensor = network(inputs)
    backward: Tensor = network(reverse(inputs))
    return (forward + backward) / 2
