"""Checkpoints: exact round trip, refusals by name, no pickle."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch

from models.checkpoints import CARD_NAME, JSON_NAME, WEIGHTS_NAME, load, load_pretrained
from models.errors import CheckpointError, SeenRowsError, VersionError
from models.recipe import train_checkpoint
from models.specs import InputSpec


@pytest.fixture(scope="module")
def checkpoint(rows, tiny):
    return train_checkpoint(rows, tiny, name="tiny", trained_on="synthetic rows (no licence needed)")


@pytest.fixture
def saved(checkpoint, tmp_path):
    checkpoint.save(tmp_path / "ck")
    return tmp_path / "ck"


def test_round_trip_is_exact(checkpoint, saved, rows):
    again = load(saved, expected=rows.spec)
    assert again.digest == checkpoint.digest
    first, second = checkpoint.predict(rows.inputs), again.predict(rows.inputs)
    for name in ("barrier_ev", "log_spread", "lower_ev", "upper_ev", "domain_distance", "member_barriers_ev"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert again.metrics == checkpoint.metrics
    assert again.calibration == checkpoint.calibration


def test_loading_leaves_the_random_state_alone(saved):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    load(saved)
    assert torch.equal(torch.get_rng_state(), before)


def test_folder_holds_three_files_and_no_pickle(saved):
    assert {p.name for p in saved.iterdir()} == {JSON_NAME, WEIGHTS_NAME, CARD_NAME}
    for file in saved.iterdir():
        with pytest.raises(Exception, match=r".*"):
            pickle.loads(file.read_bytes())
    assert [p.name for p in saved.parent.iterdir()] == ["ck"]


def test_a_pickled_checkpoint_is_refused(saved):
    (saved / WEIGHTS_NAME).write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(CheckpointError, match="no whole safetensors file"):
        load(saved)
    (saved / WEIGHTS_NAME).unlink()
    torch.save({"a": torch.zeros(1)}, saved / "weights.pt")
    with pytest.raises(CheckpointError, match="never a pickle"):
        load(saved)


def test_saving_replaces_what_was_there(checkpoint, saved):
    (saved / "stale").write_text("x")
    checkpoint.with_metrics("more", {"n": 3, "mae_ev": 0.5}).save(saved)
    assert not (saved / "stale").exists()
    assert [p.name for p in saved.parent.iterdir()] == ["ck"]
    again = load(saved)
    assert again.digest == checkpoint.digest
    assert again.metrics["more"] == {"n": 3, "mae_ev": 0.5}


def test_card_shows_figures_and_digest(checkpoint):
    figures = {"n": 60, "mae_ev": 0.2345, "baselines": {"median": {"mae_ev": 0.4701}}}
    manifest = checkpoint.with_metrics("published test split", figures).manifest()
    from models.card import render_card

    card = render_card(manifest.model_dump(mode="json"))
    assert checkpoint.digest in card
    assert "| published test split | 60 | 0.234 |" in card or "| published test split | 60 | 0.235 |" in card
    assert "published test split: baseline median" in card
    assert "no licence needed" in card


@pytest.mark.parametrize("part", ["weights", "json"])
def test_damage_is_found(saved, part):
    if part == "weights":
        content = bytearray((saved / WEIGHTS_NAME).read_bytes())
        content[-1] ^= 1
        (saved / WEIGHTS_NAME).write_bytes(bytes(content))
    else:
        data = json.loads((saved / JSON_NAME).read_text())
        data["calibration"]["quantile"] *= 2
        (saved / JSON_NAME).write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match="damaged or was edited"):
        load(saved)


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "is not JSON"), ("[]", "has format None"), ('{"format": 99}', "format 99, this version reads 1"),
     ('{"format": 1}', "does not hold what a checkpoint needs")],
)  # fmt: skip
def test_bad_json_is_named(saved, content, message):
    (saved / JSON_NAME).write_text(content)
    with pytest.raises(CheckpointError, match=message):
        load(saved)


def test_other_descriptors_are_refused(saved, rows):
    def changed(**update):
        groups = [g.model_copy(update=update) if g.name == "local" else g for g in rows.spec.groups]
        return InputSpec(groups=tuple(groups))

    with pytest.raises(VersionError, match="'local' in version 1, at hand is 4"):
        load(saved, expected=changed(version=4))
    with pytest.raises(VersionError, match=r"other keys, shapes or order in the groups \['local'\]"):
        load(saved, expected=changed(keys=("a", "b", "c", "d", "e")))
    with pytest.raises(VersionError, match="'topology' in version 1, at hand is None"):
        load(saved, expected=InputSpec(groups=tuple(g for g in rows.spec.groups if g.name != "topology")))


def test_rows_seen_are_refused(checkpoint, rows, make):
    checkpoint.refuse_seen(make(5, seed=9).ids)
    with pytest.raises(SeenRowsError, match=r"trained on 1 of these rows.*hop-0-3"):
        checkpoint.refuse_seen(["unseen", rows.ids[3]])


def test_nothing_there_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"no model\.json"):
        load(tmp_path)
    with pytest.raises(CheckpointError, match="no shipped checkpoint is called 'nonsense'"):
        load_pretrained("nonsense")
