"""What moves one prediction: the signal is found, values and shares are right."""

from __future__ import annotations

import json

import numpy as np
import pytest

from models.errors import InputError
from models.occlusion import explain
from models.recipe import train_checkpoint

FAMILIES = {"signal": {"local": ("local_0", "local_1")}, "noise": {"topology": ("topology_0",)}}


@pytest.fixture(scope="module")
def checkpoint(make, tiny):
    settings = tiny.model_copy(update={
        "groups": ("local", "profile", "topology"), "epochs": 20, "calibration_members": 1,
    })  # fmt: skip
    return train_checkpoint(make(200), settings, name="signal in local_0", trained_on="synthetic rows")


@pytest.fixture
def hop(make):
    rows = make(60, seed=9)
    row = int(np.argmax(rows.inputs["local"][:, 0]))
    return {name: array[row : row + 1].copy() for name, array in rows.inputs.items()}


def _row(found, name):
    (row,) = [row for row in found["rows"] if row["name"] == name]
    return row


def test_the_signal_raises_the_barrier(checkpoint, hop):
    found = explain(checkpoint, hop, FAMILIES)
    kinds = [row["what"] for row in found["rows"]]
    assert kinds == ["group"] * 3 + ["family"] * 2 + ["key"] * 12
    first = {what: found["rows"][kinds.index(what)]["name"] for what in ("group", "family", "key")}
    assert first == {"group": "local", "family": "signal", "key": "local_0"}
    assert _row(found, "local_0")["change_ev"] > 0.1
    json.loads(json.dumps(found, allow_nan=False))


def test_changes_are_those_of_a_prediction_at_the_mean(checkpoint, hop):
    found = explain(checkpoint, hop, FAMILIES)
    scale = checkpoint.ensemble.standardiser.groups["local"]
    # The value whose normal score is the mean of the scores.
    mean = np.interp(scale.score_mean[0], scale.scores[0], scale.knots[0])
    hop["local"][0, 0] = mean
    without_ev = float(checkpoint.predict_plain(hop).barrier_ev[0])
    row = _row(found, "local_0")
    assert row["without_ev"] == pytest.approx(without_ev, abs=1e-4)
    assert row["change_ev"] == pytest.approx(found["barrier_ev"] - row["without_ev"], abs=1e-6)


def test_prediction_is_the_checkpoints_own(checkpoint, hop):
    found, predicted = explain(checkpoint, hop, FAMILIES), checkpoint.predict(hop, accelerator="cpu")
    for name in ("barrier_ev", "lower_ev", "upper_ev", "log_spread", "domain_distance"):
        assert found[name] == pytest.approx(float(getattr(predicted, name)[0]), abs=1e-6), name
    assert found["in_domain"] is bool(predicted.in_domain[0])


def test_values_and_where_they_lie(checkpoint, hop, make):
    hop["local"][0, 2] = np.median(make(200).inputs["local"][:, 2])
    hop["topology"][0, 1] = np.nan
    hop["profile"][0, 0] = np.linspace(-2, 5, 9)
    found = explain(checkpoint, hop, FAMILIES)
    assert _row(found, "local_2")["percentile"] == pytest.approx(50, abs=3)
    assert _row(found, "local_0")["percentile"] > 90
    assert (_row(found, "topology_1")["value"], _row(found, "topology_1")["percentile"]) == (None, None)
    assert _row(found, "profile_0")["value"] == -2
    assert _row(found, "profile_0")["percentile"] < 5
    assert "value" not in _row(found, "signal")


def test_one_hop_at_a_time(checkpoint, make):
    with pytest.raises(InputError, match="got 2 hops"):
        explain(checkpoint, make(2).inputs, FAMILIES)


def test_shares_are_those_of_the_training_rows(make):
    from models.standardise import fit_standardiser

    rows = make(1000)
    share = fit_standardiser(rows, clip=5.0).percentiles(rows.inputs)["local"][:, 0]
    values = rows.inputs["local"][:, 0]
    expected = 100 * np.array([(values < value).mean() for value in values])
    assert np.abs(share - expected).max() < 3
