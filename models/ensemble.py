"""A deep ensemble: several networks of one architecture behind one standardiser, predicting log barriers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from models.arrays import Inputs, check_inputs
from models.data import TREE_FEATURES, Batch, PredictionData
from models.lightning import make_trainer, quiet, reproducible
from models.networks import BarrierNetwork, both_directions
from models.trees import TreeEnsemble, TreeModule, tree_features

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from models.settings import TrainSettings
    from models.specs import InputSpec
    from models.standardise import Standardiser

# Large enough to fill the cores' vector units, small enough for a batch to stay in the cache.
PREDICT_BATCH = 512


class _EnsembleModule(pl.LightningModule):
    """Wraps the members for ``Trainer.predict``."""

    def __init__(self, members: tuple[BarrierNetwork, ...], trees: TreeModule | None) -> None:
        super().__init__()
        # Registered for the move to a device; asked by what they are.
        self.registered = nn.ModuleList(members)
        self.members = members
        self.trees = trees

    def predict_step(self, batch: Batch, *_args: object) -> Tensor:
        """Return the members' standardised targets, and the trees' in a last column, ``(n, columns)``."""
        inputs = {name: value for name, value in batch.items() if name != TREE_FEATURES}
        columns = [both_directions(member, inputs) for member in self.members]
        if self.trees is not None:
            columns.append(self.trees(batch[TREE_FEATURES]))
        return torch.stack(columns, dim=1)


@dataclass(frozen=True)
class Ensemble:
    """Networks trained alike from different seeds (Lakshminarayanan et al., arXiv 1612.01474).

    Attributes
    ----------
    members : tuple of BarrierNetwork
        In evaluation mode.
    standardiser : Standardiser
        Fitted on the rows that they were trained on.
    spec : InputSpec
        The descriptor groups that they take.
    settings : TrainSettings
        What they were trained with.
    trees : TreeEnsemble, optional
        Trees fitted on the same rows. Every member's log barrier is then averaged with theirs, which makes
        the spread over the members that of the average.
    """

    members: tuple[BarrierNetwork, ...]
    standardiser: Standardiser
    spec: InputSpec
    settings: TrainSettings
    trees: TreeEnsemble | None = None

    def networks_alone(self) -> Ensemble:
        """Return the same networks without the trees."""
        return replace(self, trees=None, settings=self.settings.networks_alone())

    def tree_module(self) -> TreeModule | None:
        """Return what asks the trees, if there are any."""
        return None if self.trees is None else TreeModule(self.trees, self.settings.tree_band)

    def member_log_barriers(
        self, inputs: Inputs, *, accelerator: str = "auto", progress: bool = False
    ) -> NDArray[np.float64]:
        """Return every member's log barrier by Lightning's ``Trainer.predict``, ``(n, members)``."""
        checked = check_inputs(inputs, self.spec)
        data = PredictionData(
            checked, self.standardiser, batch_size=PREDICT_BATCH, for_trees=self.trees is not None
        )
        if len(data.data) == 0:
            return np.zeros((0, len(self.members)))
        with quiet(), reproducible(seed=None), _whole_floats():
            trainer = make_trainer(accelerator=accelerator, progress=progress)
            batches = trainer.predict(_EnsembleModule(self.members, self.tree_module()), datamodule=data)
        targets = torch.cat([batch.cpu() for batch in batches or [] if isinstance(batch, Tensor)])
        return self.averaged(targets.numpy())

    def plain_log_barriers(self, inputs: Inputs) -> NDArray[np.float64]:
        """Return the same by a plain forward pass on the CPU: the oracle of the Trainer's answer."""
        checked = check_inputs(inputs, self.spec)
        arrays = self.standardiser.transform(checked)
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        with torch.inference_mode(), reproducible(seed=None):
            columns = [both_directions(member, tensors) for member in self.members]
            trees = self.tree_module()
            if trees is not None:
                columns.append(trees(torch.from_numpy(tree_features(self.standardiser, checked))))
        return self.averaged(torch.stack(columns, dim=1).numpy())

    def averaged(self, targets: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return log barriers of standardised targets, each network's averaged with that of the trees."""
        found = self.standardiser.log_barrier(targets)
        if self.trees is None:
            return found
        share = self.settings.tree_share
        return (1 - share) * found[:, :-1] + share * found[:, -1:]


def _whole_floats() -> AbstractContextManager[None]:
    """Keep cuDNN from shortening float32 to 10 bits in convolutions, which it does unless told otherwise.

    Barriers on a GPU would then be off those on a CPU by more than rounding.
    """
    found: AbstractContextManager[None] = torch.backends.cudnn.flags(
        enabled=True, deterministic=True, allow_tf32=False
    )
    return found


def log_mean_and_spread(
    member_log_barriers: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and sample standard deviation over the members; one member has no spread, which is 0."""
    mean = member_log_barriers.mean(axis=1)
    if member_log_barriers.shape[1] == 1:
        return mean, np.zeros(len(mean))
    return mean, member_log_barriers.std(axis=1, ddof=1)
