"""Batches: standardised arrays as tensors, shuffled by a seed, and the DataModules that serve them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler

from models.networks import reverse
from models.trees import tree_features

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from models.arrays import FloatArray, Inputs, LabelledArrays
    from models.standardise import Standardiser

TARGET = "target"
TREE_FEATURES = "tree_features"
Batch = dict[str, Tensor]


class HopTensors(Dataset[Batch]):
    """Tensors of all hops, indexed by a whole batch at once."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = dict(tensors)

    def __len__(self) -> int:
        first = next(iter(self.tensors.values()))
        return len(first)

    def __getitem__(self, rows: list[int]) -> Batch:
        return {name: tensor[rows] for name, tensor in self.tensors.items()}


class SeededBatches(Sampler[list[int]]):
    """Batches of row numbers: in order, or shuffled anew in each pass from one seed."""

    def __init__(self, n_rows: int, batch_size: int, seed: int | None = None) -> None:
        self.n_rows = n_rows
        self.batch_size = batch_size
        self.generator = None if seed is None else torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return math.ceil(self.n_rows / self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        if self.generator is None:
            order = torch.arange(self.n_rows)
        else:
            order = torch.randperm(self.n_rows, generator=self.generator)
        for start in range(0, self.n_rows, self.batch_size):
            yield order[start : start + self.batch_size].tolist()


def _tensors(arrays: Mapping[str, FloatArray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _labelled(rows: LabelledArrays, standardiser: Standardiser) -> HopTensors:
    tensors = _tensors(standardiser.transform(rows.inputs))
    tensors[TARGET] = torch.from_numpy(standardiser.target(rows.log_barrier()))
    return HopTensors(tensors)


def _loader(data: HopTensors, batches: SeededBatches) -> DataLoader[Batch]:
    # The data set takes a whole batch of indices, so the loader itself must not batch.
    return DataLoader(data, sampler=batches, batch_size=None)


class TrainingData(pl.LightningDataModule):
    """Serves shuffled training batches, standardised and with their targets."""

    def __init__(
        self, training: LabelledArrays, standardiser: Standardiser, *, batch_size: int, seed: int
    ) -> None:
        super().__init__()
        self.data = _labelled(training, standardiser)
        self.batches = SeededBatches(len(training), batch_size, seed)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return the shuffled batches."""
        return _loader(self.data, self.batches)


class WatchedTrainingData(TrainingData):
    """The same, and batches of hops that are held out, in order."""

    def __init__(
        self,
        training: LabelledArrays,
        held_out: LabelledArrays,
        standardiser: Standardiser,
        *,
        batch_size: int,
        seed: int,
    ) -> None:
        super().__init__(training, standardiser, batch_size=batch_size, seed=seed)
        self.held_out = _labelled(held_out, standardiser)
        self.held_out_batches = SeededBatches(len(held_out), batch_size)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Return the batches that are held out."""
        return _loader(self.held_out, self.held_out_batches)


class PredictionData(pl.LightningDataModule):
    """Serves standardised batches in their given order."""

    def __init__(
        self, inputs: Inputs, standardiser: Standardiser, *, batch_size: int, for_trees: bool = False
    ) -> None:
        super().__init__()
        arrays = standardiser.transform(inputs)
        if for_trees:
            arrays[TREE_FEATURES] = tree_features(standardiser, inputs)
        self.data = HopTensors(_tensors(arrays))
        self.batches = SeededBatches(len(self.data), batch_size)

    def predict_dataloader(self) -> DataLoader[Batch]:
        """Return the batches in order."""
        return _loader(self.data, self.batches)


def mixed(inputs: Mapping[str, Tensor], target: Tensor, mixup: float) -> tuple[Batch, Tensor]:
    """Return each hop of a batch mixed with another one: inputs and targets alike, the larger share its own.

    Reference: Zhang et al., mixup, arXiv 1710.09412.

    Parameters
    ----------
    inputs : mapping of str to Tensor
        Standardised descriptors.
    target : Tensor
        Standardised targets, ``(n,)``.
    mixup : float
        Shares come from Beta(mixup, mixup); 1 is uniform.
    """
    drawn = torch.distributions.Beta(mixup, mixup).sample((len(target),)).to(target)
    own = torch.maximum(drawn, 1 - drawn)
    partner = torch.randperm(len(target), device=target.device)

    def mix(value: Tensor) -> Tensor:
        share = own.reshape(-1, *(1,) * (value.ndim - 1))
        return share * value + (1 - share) * value[partner]

    return {name: mix(value) for name, value in inputs.items()}, mix(target)


def augment(
    inputs: Mapping[str, Tensor], n_values: Mapping[str, int], *, noise: float, dropout: float
) -> Batch:
    """Return augmented inputs: half of the hops reversed, values jittered and some left out.

    Indicators stay as they are.

    Parameters
    ----------
    inputs : mapping of str to Tensor
        Standardised descriptors with the missing-indicators last.
    n_values : mapping of str to int
        How many keys of each group are values; the rest are indicators.
    noise : float
        Standard deviation of the noise, in standard deviations of each input.
    dropout : float
        Share of the keys that are set to zero, a draw of its own for each hop; the rest grow to make up.
    """
    first = next(iter(inputs.values()))
    chosen = torch.rand(len(first), device=first.device) < 0.5  # noqa: PLR2004 - either direction is as likely
    backward = reverse(inputs)
    augmented: Batch = {}
    for name, value in inputs.items():
        flag = chosen.reshape(-1, *(1,) * (value.ndim - 1))
        mixed = torch.where(flag, backward[name], value)
        # One draw a key and hop: along a path the descriptor errs together, not point by point.
        shape = (len(value), n_values[name], *(1,) * (value.ndim - 2))
        shift = noise * torch.randn(shape, device=value.device, dtype=value.dtype)
        kept = nn.functional.dropout(torch.ones_like(shift), dropout)
        values = (mixed[:, : n_values[name]] + shift) * kept
        augmented[name] = torch.cat([values, mixed[:, n_values[name] :]], dim=1)
    return augmented
