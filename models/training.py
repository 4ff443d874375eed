"""Training: one network by a Lightning Trainer, and an ensemble of them from one seed each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from models.data import TARGET, Batch, TrainingData, augment
from models.ensemble import Ensemble
from models.lightning import make_trainer, quiet, reproducible
from models.networks import BarrierNetwork, build_network
from models.standardise import Standardiser, fit_standardiser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytorch_lightning.utilities.types import OptimizerLRScheduler

    from models.arrays import LabelledArrays
    from models.settings import TrainSettings

WARM_UP = 0.2  # share of the one-cycle schedule in which the learning rate rises


class OnFit(Protocol):
    """Called after each network that was fitted, with what it was for and how far the training is."""

    def __call__(self, purpose: str, done: int, total: int) -> None:
        """Report that ``done`` of ``total`` networks stand."""


class BarrierModule(pl.LightningModule):
    """Fits one network to standardised log barriers with a robust loss."""

    def __init__(self, network: BarrierNetwork, settings: TrainSettings, n_values: dict[str, int]) -> None:
        super().__init__()
        self.network = network
        self.settings = settings
        self.n_values = n_values
        self.loss = nn.SmoothL1Loss(beta=settings.robust_beta)

    def training_step(self, batch: Batch, *_args: object) -> Tensor:
        """Return the loss of one batch, its hops reversed at random and its values jittered."""
        inputs = {name: value for name, value in batch.items() if name != TARGET}
        noise, dropout = self.settings.input_noise, self.settings.input_dropout
        predicted = self.network(augment(inputs, self.n_values, noise=noise, dropout=dropout))
        loss: Tensor = self.loss(predicted, batch[TARGET])
        return loss

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return AdamW, whose weight decay is the L2 penalty, under a one-cycle learning rate."""
        settings = self.settings
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=settings.learning_rate,
            total_steps=int(self.trainer.estimated_stepping_batches),
            pct_start=WARM_UP,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def train_network(
    training: LabelledArrays,
    standardiser: Standardiser,
    settings: TrainSettings,
    seed: int,
    *,
    accelerator: str = "auto",
    progress: bool = False,
) -> BarrierNetwork:
    """Train one network; the same seed on the same machine gives the same weights.

    Parameters
    ----------
    training : LabelledArrays
        The rows to learn from.
    standardiser : Standardiser
        Fitted on the same rows.
    settings : TrainSettings
        How to train; its own ``seed``, ``members`` and ``groups`` are not looked at.
    seed : int
        Decides initial weights, order, augmentation and dropout.
    accelerator : str
        Lightning's name of the device.
    progress : bool
        Whether to show Lightning's progress bar.

    Returns
    -------
    BarrierNetwork
        On the CPU, in evaluation mode.
    """
    n_values: dict[str, int] = {group.name: group.shape[0] for group in training.spec.groups}
    with quiet(), reproducible(seed):
        network = build_network(standardiser.sizes(training.spec), settings)
        data = TrainingData(training, standardiser, batch_size=settings.batch_size, seed=seed)
        trainer = make_trainer(accelerator=accelerator, progress=progress, max_epochs=settings.epochs)
        trainer.fit(BarrierModule(network, settings, n_values), datamodule=data)
    return network.cpu().eval()


def train_ensemble(
    training: LabelledArrays,
    settings: TrainSettings,
    seeds: Sequence[int],
    *,
    accelerator: str = "auto",
    progress: bool = False,
    on_fit: OnFit | None = None,
) -> Ensemble:
    """Train one network a seed behind a common standardiser, on the groups that the settings name.

    Parameters are those of ``train_network``; ``on_fit`` is called after each member.
    """
    training = training.only(settings.groups)
    standardiser = fit_standardiser(training, settings.clip)
    members = []
    for done, seed in enumerate(seeds, start=1):
        members.append(
            train_network(training, standardiser, settings, seed, accelerator=accelerator, progress=progress)
        )
        if on_fit is not None:
            on_fit("member", done, len(seeds))
    return Ensemble(tuple(members), standardiser, training.spec, settings)
