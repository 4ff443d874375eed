"""Early stopping holds whole hosts out, stops, and gives back the best epoch."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from models import training
from models.early_stopping import VALIDATION_LOSS, BestWeights, validation_rows
from models.errors import InputError
from models.recipe import train_checkpoint
from models.settings import TrainSettings
from models.standardise import fit_standardiser
from models.training import Keeping, train_network

HOSTS = tuple(f"host-{k}" for k in range(12) for _ in range(k + 1))


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3, 0.5])
@pytest.mark.parametrize("seed", range(8))
def test_whole_hosts_and_no_more_than_needed(share, seed):
    held_out = validation_rows(HOSTS, share, seed)
    hosts = np.array(HOSTS)
    assert set(hosts[held_out]).isdisjoint(hosts[~held_out])
    assert share <= held_out.mean() < share + HOSTS.count("host-11") / len(HOSTS)
    np.testing.assert_array_equal(held_out, validation_rows(HOSTS, share, seed))


def test_seeds_choose_other_hosts():
    assert len({validation_rows(HOSTS, 0.2, seed).tobytes() for seed in range(8)}) > 1


def test_one_host_is_always_left():
    assert validation_rows(("a", "b", "b", "b"), 0.5, 0).sum() in {1, 3}
    with pytest.raises(InputError, match="there are 1 in the training rows; train without patience"):
        validation_rows(("a", "a"), 0.1, 0)


def test_patience_is_bounded_and_off_by_default():
    assert TrainSettings().patience is None
    for bad in ({"patience": 0}, {"validation_share": 0.0}, {"validation_share": 0.6}):
        with pytest.raises(ValidationError):
            TrainSettings(**bad)


def test_a_setting_that_is_off_leaves_the_identity_as_it_was():
    assert {"patience", "validation_share"}.isdisjoint(TrainSettings().identity())
    assert TrainSettings(patience=3).identity()["patience"] == 3


class Recorded(BestWeights):
    """Keeps every epoch's loss and weights."""

    def __init__(self, network):
        super().__init__(network)
        self.epochs = []

    def on_validation_end(self, trainer, pl_module):
        super().on_validation_end(trainer, pl_module)
        state = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.epochs.append((float(trainer.callback_metrics[VALIDATION_LOSS]), state))


@pytest.fixture
def stopped(monkeypatch, make, tiny, tmp_path):
    """A network of few rows that stops early, and what was recorded of its epochs."""
    few = make(60)
    settings = tiny.model_copy(update={"patience": 3, "epochs": 60, "learning_rate": 0.1})
    found = []

    def recording(network, patience):
        stopping, _ = original(network, patience)
        found.append(Recorded(network))
        return stopping, found[0]

    original = training.stop_early
    monkeypatch.setattr(training, "stop_early", recording)
    network = train_network(
        few, fit_standardiser(few, settings.clip), settings, 0, keep=Keeping(logs=tmp_path)
    )
    return network, found[0].epochs


def test_it_stops_and_the_best_epoch_is_given_back(stopped, tmp_path):
    network, epochs = stopped
    losses = [loss for loss, _ in epochs]
    best = int(np.argmin(losses))
    assert len(epochs) == best + 1 + 3 < 60
    assert best > 0
    for name, value in network.state_dict().items():
        assert torch.equal(value, epochs[best][1][name])
    with (tmp_path / "member-0" / "metrics.csv").open() as stream:
        logged = [float(row[VALIDATION_LOSS]) for row in csv.DictReader(stream)]
    np.testing.assert_allclose(logged, losses, rtol=1e-6)


def test_the_loss_is_that_of_the_prediction_on_the_hosts_held_out(stopped, make, tiny):
    network, epochs = stopped
    few = make(60)
    standardiser = fit_standardiser(few, tiny.clip)
    held_out = few.take(np.flatnonzero(validation_rows(few.hosts, 0.1, 0)))
    arrays = standardiser.transform(held_out.inputs)
    tensors = {name: torch.from_numpy(value) for name, value in arrays.items()}
    reverse = {name: value.flip(-1) if value.ndim == 3 else value for name, value in tensors.items()}
    with torch.no_grad():
        predicted = (network(tensors) + network(reverse)) / 2
    target = torch.from_numpy(standardiser.target(held_out.log_barrier()))
    error = (predicted - target).abs()
    beta = tiny.robust_beta
    loss = torch.where(error < beta, 0.5 * error**2 / beta, error - 0.5 * beta).mean()
    assert float(loss) == pytest.approx(min(loss for loss, _ in epochs), rel=1e-5)


def test_the_same_digest_twice(make, tiny):
    settings = tiny.model_copy(update={"patience": 1, "epochs": 4})
    digests = {train_checkpoint(make(), settings, name="t", trained_on="x").digest for _ in range(2)}
    assert len(digests) == 1
