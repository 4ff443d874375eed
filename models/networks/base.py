"""What every barrier network has in common: what it takes, what it returns and its building blocks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.settings import TrainSettings

IMAGE_NDIM = 2  # channels by path positions, without the batch


@dataclass(frozen=True)
class NetworkShape:
    """What a network is built from: the shape of one row of each group and the settings."""

    sizes: Mapping[str, tuple[int, ...]]
    settings: TrainSettings

    @property
    def inner_sizes(self) -> dict[str, tuple[int, ...]]:
        """Shapes that the network's own layers meet: those of folded images, if it folds them."""
        if not self.settings.fold_paths:
            return dict(self.sizes)
        return {
            name: (2 * size[0], (size[1] + 1) // 2) if len(size) == IMAGE_NDIM else size
            for name, size in self.sizes.items()
        }


class BarrierNetwork(nn.Module, ABC):
    """A network that maps standardised descriptors of hops to standardised log barriers.

    ``forward`` takes one tensor a group, vectors ``(n, keys)`` and images ``(n, channels, positions)``, and
    returns ``(n,)``. One that folds images is invariant to the direction of the hop. Another need not be:
    whoever calls it averages over both directions, which are images reversed along their last axis.

    Groups meet in ``fuse`` alone, so that who changes one of them need not compute the others again.

    Attributes
    ----------
    names : tuple of str
        The groups that it takes.
    folds : bool
        Whether it sees each point of a path together with its mirror point.
    """

    names: tuple[str, ...]

    def __init__(self, shape: NetworkShape) -> None:
        super().__init__()
        self.folds = shape.settings.fold_paths

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Return standardised log barriers, ``(n,)``."""
        return self.fuse({name: self.part(name, inputs[name]) for name in self.names})

    def part(self, name: str, value: Tensor) -> Tensor:
        """Return what becomes of one group, ``(n, width)``."""
        is_image = value.ndim == IMAGE_NDIM + 1
        return self.encoded(name, folded(value) if is_image and self.folds else value)

    @abstractmethod
    def encoded(self, name: str, value: Tensor) -> Tensor:
        """Return the same of a group whose image is folded, if this network folds images."""

    @abstractmethod
    def fuse(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Return standardised log barriers, ``(n,)``, of the parts of all groups."""


class BranchedNetwork(BarrierNetwork):
    """One branch a descriptor group, concatenated and mapped to one number by a small head."""

    def __init__(self, branches: Mapping[str, nn.Module], width: int, shape: NetworkShape) -> None:
        super().__init__(shape)
        self.names = tuple(branches)
        self.branches = nn.ModuleDict(dict(branches))
        self.head = make_head(width, shape.settings)

    def encoded(self, name: str, value: Tensor) -> Tensor:
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


def folded(image: Tensor) -> Tensor:
    """Return images with each point of the path beside its mirror point, in twice the channels.

    Parameters
    ----------
    image : Tensor
        ``(n, channels, positions)``.

    Returns
    -------
    Tensor
        ``(n, 2 channels, half)``, from the ends to the middle: the mean of both points, and how far they are
        apart. Half of it is ``(positions + 1) // 2``. A reversed path gives the same to the last bit.
    """
    half = (image.shape[-1] + 1) // 2
    near, far = image[..., :half], image.flip(-1)[..., :half]
    return torch.cat([(near + far) / 2, (near - far).abs()], dim=1)


def reverse(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the inputs of the reversed hops: images flip along the path, vectors stay."""
    return {name: _flip_image(value) for name, value in inputs.items()}


def _flip_image(value: Tensor) -> Tensor:
    return torch.flip(value, dims=(-1,)) if value.ndim == IMAGE_NDIM + 1 else value


def directions(network: BarrierNetwork, inputs: Mapping[str, Tensor]) -> tuple[Mapping[str, Tensor], ...]:
    """Return the inputs of the directions that a network has to be asked in: one, if it folds images."""
    return (inputs,) if network.folds else (inputs, reverse(inputs))


def both_directions(network: BarrierNetwork, inputs: Mapping[str, Tensor]) -> Tensor:
    """Return the mean over both directions of the hop, which does not depend on the direction given."""
    return mean_of([network(given) for given in directions(network, inputs)])


def mean_of(answers: Sequence[Tensor]) -> Tensor:
    """Return the mean of the answers in one or both directions, the same in either order."""
    return answers[0] if len(answers) == 1 else (answers[0] + answers[1]) / 2
