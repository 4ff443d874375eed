"""Training: one network by a Lightning Trainer, and an ensemble of them from one seed each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from models.data import TARGET, Batch, TrainingData, WatchedTrainingData, augment, mixed
from models.early_stopping import VALIDATION_LOSS, BestWeights, stop_early, validation_rows
from models.ensemble import Ensemble
from models.fit_logs import EpochLog, OnEpoch, open_loggers
from models.fit_store import FitStore, fit_key, rows_digest
from models.lightning import interruptible, make_trainer, quiet, reproducible, resolve_accelerator
from models.networks import BarrierNetwork, both_directions, build_network
from models.standardise import Standardiser, fit_standardiser
from models.trees import fit_trees, tree_features

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytorch_lightning.callbacks import Callback
    from pytorch_lightning.utilities.types import OptimizerLRScheduler

    from models.arrays import LabelledArrays
    from models.settings import TrainSettings

WARM_UP = 0.2  # share of the one-cycle schedule in which the learning rate rises


class OnFit(Protocol):
    """Called after each network that was fitted, with what it was for and how far the training is."""

    def __call__(self, purpose: str, done: int, total: int) -> None:
        """Report that ``done`` of ``total`` networks stand."""


@dataclass(frozen=True)
class Keeping:
    """What is kept and told of every fit; none of it changes the weights.

    Attributes
    ----------
    store : FitStore, optional
        Where finished fits are kept, and looked for before a network is fitted.
    logs : Path, optional
        Folder of the logs, a folder a network in it.
    on_epoch : OnEpoch, optional
        Called after every epoch, as ``on_epoch(label, done, total)``.
    purpose : str
        Label of the networks; each one's number in its ensemble is appended.
    """

    store: FitStore | None = None
    logs: Path | None = None
    on_epoch: OnEpoch | None = None
    purpose: str = "member"


class BarrierModule(pl.LightningModule):
    """Fits one network to standardised log barriers with a robust loss."""

    def __init__(self, network: BarrierNetwork, settings: TrainSettings, n_values: dict[str, int]) -> None:
        super().__init__()
        self.network = network
        self.settings = settings
        self.n_values = n_values
        self.loss = nn.SmoothL1Loss(beta=settings.robust_beta)

    def training_step(self, batch: Batch, *_args: object) -> Tensor:
        """Return the loss of one batch, its hops mixed, reversed at random and jittered."""
        inputs = {name: value for name, value in batch.items() if name != TARGET}
        target = batch[TARGET]
        if self.settings.mixup:
            inputs, target = mixed(inputs, target, self.settings.mixup)
        noise, dropout = self.settings.input_noise, self.settings.input_dropout
        predicted = self.network(augment(inputs, self.n_values, noise=noise, dropout=dropout))
        loss: Tensor = self.loss(predicted, target)
        return loss

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return AdamW, whose weight decay is the L2 penalty, under a one-cycle learning rate."""
        settings = self.settings
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=settings.learning_rate,
            total_steps=steps,
            # It divides by the steps that rise, less one: where that is none, let one more rise.
            pct_start=2 / steps if steps * WARM_UP == 1 else WARM_UP,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class WatchedModule(BarrierModule):
    """The same, with a loss on hops that are held out."""

    def validation_step(self, batch: Batch, *_args: object) -> None:
        """Log the loss of one batch as it would be predicted: whole, and meant over both directions."""
        inputs = {name: value for name, value in batch.items() if name != TARGET}
        loss = self.loss(both_directions(self.network, inputs), batch[TARGET])
        self.log(VALIDATION_LOSS, loss, logger=False, batch_size=len(batch[TARGET]))


def train_network(
    training: LabelledArrays,
    standardiser: Standardiser,
    settings: TrainSettings,
    seed: int,
    *,
    accelerator: str = "auto",
    progress: bool = False,
    keep: Keeping | None = None,
    label: str = "member-0",
) -> BarrierNetwork:
    """Train one network; the same seed on the same machine gives the same weights.

    Parameters
    ----------
    training : LabelledArrays
        The rows to learn from. With ``settings.patience`` some of their hosts are held out, by the seed.
    standardiser : Standardiser
        Fitted on the same rows.
    settings : TrainSettings
        How to train; its own ``seed``, ``members`` and ``groups`` are not looked at.
    seed : int
        Decides initial weights, order, augmentation and dropout.
    accelerator : str
        ``auto``, ``cpu`` or ``cuda``; the last two do not give the same weights.
    progress : bool
        Whether to show Lightning's progress bar.
    keep : Keeping, optional
        Its logs and its ``on_epoch`` are heeded here.
    label : str
        What the network is called in them.

    Returns
    -------
    BarrierNetwork
        On the CPU, in evaluation mode.
    """
    n_values: dict[str, int] = {group.name: group.shape[0] for group in training.spec.groups}
    kept = Keeping() if keep is None else keep
    with quiet(), interruptible(), reproducible(seed):
        network = build_network(standardiser.sizes(training.spec), settings)
        module_class, data, callbacks = _watched(network, training, standardiser, settings, seed)
        about = {**settings.model_dump(mode="json"), "network_seed": seed}
        loggers = [] if kept.logs is None else open_loggers(kept.logs, label, about)
        log = EpochLog(label, loggers, kept.on_epoch)
        trainer = make_trainer(
            accelerator=resolve_accelerator(accelerator),
            progress=progress,
            max_epochs=settings.epochs,
            callbacks=[*callbacks, log],
        )
        try:
            trainer.fit(module_class(network, settings, n_values), datamodule=data)
        finally:
            log.close()
        for callback in callbacks:
            if isinstance(callback, BestWeights):
                callback.restore()
    return network.cpu().eval()


def _watched(
    network: BarrierNetwork,
    training: LabelledArrays,
    standardiser: Standardiser,
    settings: TrainSettings,
    seed: int,
) -> tuple[type[BarrierModule], TrainingData, list[Callback]]:
    """Return what fits the network: the module, the batches, and what watches hosts held out, if any."""
    size = settings.batch_size
    if settings.patience is None:
        return BarrierModule, TrainingData(training, standardiser, batch_size=size, seed=seed), []
    held_out = validation_rows(training.hosts, settings.validation_share, seed)
    data = WatchedTrainingData(
        training.take(np.flatnonzero(~held_out)),
        training.take(np.flatnonzero(held_out)),
        standardiser,
        batch_size=size,
        seed=seed,
    )
    return WatchedModule, data, [*stop_early(network, settings.patience)]


def train_ensemble(
    training: LabelledArrays,
    settings: TrainSettings,
    seeds: Sequence[int],
    *,
    accelerator: str = "auto",
    progress: bool = False,
    on_fit: OnFit | None = None,
    keep: Keeping | None = None,
) -> Ensemble:
    """Train one network a seed behind a common standardiser, on the groups that the settings name.

    Parameters are those of ``train_network``; ``on_fit`` is called after each member. A fit that ``keep``'s
    store holds is taken from there.
    """
    training = training.only(settings.groups)
    standardiser = fit_standardiser(training, settings.clip, settings.target_power)
    kept = Keeping() if keep is None else keep
    device = resolve_accelerator(accelerator)
    digest = "" if kept.store is None else rows_digest(training)
    members = []
    for index, seed in enumerate(seeds):
        key = fit_key(digest, settings, seed, device)
        network = _stored(kept.store, key, standardiser.sizes(training.spec), settings)
        if network is None:
            label = f"{kept.purpose}-{index}"
            network = train_network(
                training, standardiser, settings, seed,
                accelerator=device, progress=progress, keep=kept, label=label,
            )  # fmt: skip
            if kept.store is not None:
                kept.store.write(key, network.state_dict(), {"label": label, "seed": seed, "device": device})
        members.append(network)
        if on_fit is not None:
            on_fit("member", index + 1, len(seeds))
    trees = None
    if settings.trees:
        target = standardiser.target(training.log_barrier())
        trees = fit_trees(
            tree_features(standardiser, training.inputs), target, n_trees=settings.trees, seed=seeds[0]
        )
    return Ensemble(tuple(members), standardiser, training.spec, settings, trees)


def _stored(
    store: FitStore | None, key: str, sizes: dict[str, tuple[int, ...]], settings: TrainSettings
) -> BarrierNetwork | None:
    state = None if store is None else store.read(key)
    if state is None:
        return None
    # Building draws initial weights; the caller's random state must not move for it.
    with torch.random.fork_rng(devices=[]):
        network = build_network(sizes, settings)
    network.load_state_dict(state)
    return network.eval()
