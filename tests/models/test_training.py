"""Training learns, repeats itself from a seed and leaves no trace."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from models.ensemble import log_mean_and_spread
from models.errors import InputError
from models.recipe import train_checkpoint
from models.settings import TrainSettings
from models.training import train_ensemble


def test_learns_what_the_descriptors_know(make, tiny):
    settings = tiny.model_copy(update={"epochs": 40})
    ensemble = train_ensemble(make(240), settings, [0, 1])
    test = make(80, seed=1)
    mean, _ = log_mean_and_spread(ensemble.member_log_barriers(test.inputs))
    error = np.abs(mean - test.log_barrier()).mean()
    guess = np.abs(np.median(make(240).log_barrier()) - test.log_barrier()).mean()
    assert error < 0.5 * guess


def test_same_seed_same_digest_and_other_seed_another(rows, tiny):
    first, second, other = (
        train_checkpoint(rows, tiny.model_copy(update={"seed": seed}), name="t", trained_on="none").digest
        for seed in (0, 0, 1)
    )
    assert first == second != other


@pytest.mark.parametrize("epochs", range(1, 13))
def test_few_steps_are_enough_to_train(make, tiny, epochs):
    few = make(8)
    settings = tiny.model_copy(update={"epochs": epochs, "batch_size": len(few)})
    assert np.isfinite(train_ensemble(few, settings, [0]).member_log_barriers(few.inputs)).all()


def test_leaves_no_files_and_no_global_state(rows, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    train_ensemble(rows, tiny, [0]).member_log_barriers(rows.inputs)
    assert list(Path(tmp_path).iterdir()) == []
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def test_is_quiet(rows, tiny, capfd, caplog):
    train_ensemble(rows, tiny, [0]).member_log_barriers(rows.inputs)
    captured = capfd.readouterr()
    assert captured.out + captured.err + caplog.text == ""


def test_reports_every_network(rows, tiny):
    calls = []
    train_checkpoint(rows, tiny, name="t", trained_on="x", on_fit=lambda *call: calls.append(call))
    calibration = [("calibration", k, 4) for k in range(1, 5)]
    assert calls == [*calibration, ("member", 1, 2), ("member", 2, 2)]


def test_trainer_and_plain_forward_pass_agree(rows, tiny):
    ensemble = train_ensemble(rows, tiny, [0, 1, 2])
    by_trainer = ensemble.member_log_barriers(rows.inputs)
    np.testing.assert_allclose(by_trainer, ensemble.plain_log_barriers(rows.inputs), atol=1e-6)
    assert by_trainer.shape == (len(rows), 3)


@pytest.mark.parametrize(
    "bad",
    [{"members": 0}, {"epochs": 0}, {"dropout": 1.0}, {"learning_rate": float("nan")}, {"layers": 3},
     {"groups": ()}, {"groups": ("local", "local")}, {"groups": ("local", "geometry")}],
)  # fmt: skip
def test_settings_are_bounded(bad):
    with pytest.raises(ValidationError):
        TrainSettings(**bad)


def test_settings_are_frozen_and_digested():
    settings = TrainSettings()
    with pytest.raises(ValidationError):
        settings.epochs = 3
    assert settings.digest() == TrainSettings().digest()
    assert settings.digest() != TrainSettings(epochs=settings.epochs + 1).digest()
    assert TrainSettings(seed=7, members=3).member_seeds() == (7, 8, 9)


def test_groups_keep_their_order_whatever_the_order_given(rows, tiny):
    settings = TrainSettings(groups=("chemistry", "local"))
    assert settings.groups == ("local", "chemistry")
    assert settings == TrainSettings(groups=("local", "chemistry"))
    assert TrainSettings().groups == ("local", "profile", "chemistry")


def test_an_ensemble_takes_the_groups_of_its_settings(rows, tiny):
    ensemble = train_ensemble(rows, tiny.model_copy(update={"groups": ("topology",)}), [0])
    assert ensemble.spec.names() == ("topology",)
    assert len(ensemble.member_log_barriers(rows.inputs)) == len(rows)


def test_groups_that_are_not_at_hand_are_named(rows, tiny):
    some = rows.only(("local", "topology"))
    with pytest.raises(InputError, match=r"at hand are \['local', 'topology'\]"):
        train_ensemble(some, tiny, [0])
