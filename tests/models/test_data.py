"""Batches and augmentation."""

from __future__ import annotations

from itertools import chain

import torch

from models.data import PredictionData, SeededBatches, TrainingData, augment
from models.standardise import fit_standardiser


def test_every_row_once_a_pass_and_passes_differ():
    batches = SeededBatches(10, 4, seed=3)
    first, second = list(batches), list(batches)
    assert [len(batch) for batch in first] == [4, 4, 2] == [len(batch) for batch in second]
    assert sorted(chain(*first)) == list(range(10)) == sorted(chain(*second))
    assert first != second
    assert first == list(SeededBatches(10, 4, seed=3))
    assert len(batches) == 3


def test_loaders_serve_standardised_rows(rows):
    standardiser = fit_standardiser(rows, 5.0)
    served = list(PredictionData(rows.inputs, standardiser, batch_size=50).predict_dataloader())
    assert [len(batch["local"]) for batch in served] == [50, 50, 20]
    expected = torch.from_numpy(standardiser.transform(rows.inputs)["local"])
    assert torch.equal(torch.cat([batch["local"] for batch in served]), expected)
    batch = next(iter(TrainingData(rows, standardiser, batch_size=8, seed=0).train_dataloader()))
    assert batch["target"].shape == (8,)


def test_augmentation_reverses_about_half_and_leaves_indicators():
    torch.manual_seed(0)
    image = torch.arange(5.0).repeat(400, 3, 1)
    vector = torch.zeros(400, 2)
    out = augment({"profile": image, "local": vector}, {"profile": 2, "local": 1}, noise=0.0, dropout=0.0)
    reversed_rows = (out["profile"] == image.flip(-1)).all(dim=(1, 2))
    kept = (out["profile"] == image).all(dim=(1, 2))
    assert torch.equal(reversed_rows, ~kept)
    assert 150 < int(reversed_rows.sum()) < 250
    noisy = augment({"local": vector}, {"local": 1}, noise=0.3, dropout=0.0)["local"]
    assert torch.equal(noisy[:, 1], vector[:, 1])
    assert 0.25 < float(noisy[:, 0].std()) < 0.35
    assert torch.equal(vector, torch.zeros(400, 2))


def test_dropout_takes_whole_channels_and_keeps_the_mean():
    torch.manual_seed(0)
    out = augment({"profile": torch.ones(500, 4, 3)}, {"profile": 3}, noise=0.0, dropout=0.25)["profile"]
    assert torch.equal(out[:, 3], torch.ones(500, 3))
    assert torch.equal(out[..., 0], out[..., 2])
    assert 0.2 < float((out[:, :3] == 0).float().mean()) < 0.3
    assert 0.93 < float(out[:, :3].mean()) < 1.07
