"""Checkpoints: exact round trip, refusals by name, no pickle."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.checkpoints import CARD_NAME, JSON_NAME, WEIGHTS_NAME, load, load_pretrained
from models.errors import CheckpointError, SeenRowsError, VersionError
from models.recipe import train_checkpoint
from models.specs import InputSpec
from models.trees import tree_features


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
    with pytest.raises(CheckpointError, match=r"damaged or was edited|do not fit together"):
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


OLD = Path(__file__).parent / "format1" / "without_groups"
OLD_DIGEST = "82fe156daeca4378718db3bb60e257540bf9935f34e9db42c85581fa5087eba6"
OLD_BARRIERS_EV = [0.3871846808360466, 0.3840159166312382, 0.36839293025962183, 0.3920825136369537]


def test_a_checkpoint_from_before_groups_could_be_chosen_is_read(make):
    assert "groups" not in json.loads((OLD / JSON_NAME).read_text())["settings"]
    old = load(OLD)
    assert old.digest == OLD_DIGEST
    assert old.settings.groups == old.spec.names() == ("local", "profile", "topology", "chemistry")
    found = old.predict(make(12).inputs).barrier_ev[:4]
    np.testing.assert_allclose(found, OLD_BARRIERS_EV, rtol=1e-5)


BEFORE_TREES = Path(__file__).parent / "format1" / "without_trees"
BEFORE_TREES_DIGEST = "7c5d3c1bb69fb2114ef075eb875f1cd4e51ab9bd5cd675a61690bdbb92ee37c0"
BEFORE_TREES_EV = [0.40955311069154976, 0.40065888481711764, 0.40449616906916536]
BEFORE_TREES_LOWER_EV = [0.21218747470999128, 0.20757941954320397, 0.20956749785082945]


def test_a_checkpoint_from_before_trees_is_read(make):
    said = json.loads((BEFORE_TREES / JSON_NAME).read_text())
    assert not {"trees", "mixup", "target_power"} & set(said["settings"])
    assert not {"power"} & set(said["calibration"])
    old = load(BEFORE_TREES)
    assert old.digest == BEFORE_TREES_DIGEST
    assert (old.settings.trees, old.settings.mixup, old.settings.target_power) == (0, 0.0, 0.0)
    assert old.settings.method == "cnn"
    found = old.predict(make(3, seed=9).inputs)
    np.testing.assert_allclose(found.barrier_ev, BEFORE_TREES_EV, rtol=1e-5)
    np.testing.assert_allclose(found.lower_ev, BEFORE_TREES_LOWER_EV, rtol=1e-5)


def test_the_order_of_json_changes_nothing(checkpoint, saved, rows):
    said = json.loads((saved / JSON_NAME).read_text())
    (saved / JSON_NAME).write_text(json.dumps(said, sort_keys=True))
    again = load(saved)
    assert again.digest == checkpoint.digest
    for name in ("barrier_ev", "domain_distance"):
        expected = getattr(checkpoint.predict(rows.inputs), name)
        np.testing.assert_array_equal(getattr(again.predict(rows.inputs), name), expected)


class TestTrees:
    """A checkpoint of networks and trees."""

    def test_averages_each_network_with_the_trees(self, checkpoint, rows):
        share = checkpoint.settings.tree_share
        ensemble = checkpoint.ensemble
        features = torch.from_numpy(tree_features(ensemble.standardiser, rows.inputs))
        trees = ensemble.standardiser.log_barrier(ensemble.tree_module()(features).numpy())
        networks = ensemble.networks_alone().member_log_barriers(rows.inputs)
        found = ensemble.member_log_barriers(rows.inputs)
        np.testing.assert_allclose(found, (1 - share) * networks + share * trees[:, None], atol=1e-5)
        assert np.abs(found - networks).max() > 1e-3

    def test_say_what_they_are(self, checkpoint, saved):
        assert checkpoint.settings.method == "cnn+trees"
        assert (
            f"{len(checkpoint.ensemble.trees)} extremely randomised trees" in (saved / CARD_NAME).read_text()
        )

    def test_missing_trees_are_named(self, checkpoint, tmp_path):
        without = replace(checkpoint, ensemble=replace(checkpoint.ensemble, trees=None))
        without.save(tmp_path / "ck")
        with pytest.raises(CheckpointError, match="do not fit together"):
            load(tmp_path / "ck")


SOME_GROUPS = ("profile", "topology")


@pytest.fixture(scope="module")
def some(rows, tiny):
    settings = tiny.model_copy(update={"groups": SOME_GROUPS})
    return train_checkpoint(rows, settings, name="some", trained_on="synthetic rows")


class TestSomeGroups:
    """A checkpoint that takes some of the descriptor groups."""

    def test_holds_these_and_no_others(self, some, rows, tmp_path):
        some.save(tmp_path / "ck")
        again = load(tmp_path / "ck", expected=rows.spec)
        assert again.spec.names() == again.settings.groups == SOME_GROUPS
        assert set(again.ensemble.standardiser.groups) == set(SOME_GROUPS)
        assert again.digest == some.digest
        assert "`profile`, `topology`" in (tmp_path / "ck" / CARD_NAME).read_text()

    def test_takes_what_it_needs_of_all_groups(self, some, rows):
        whole = some.predict(rows.inputs)
        alone = some.predict({name: rows.inputs[name] for name in SOME_GROUPS})
        without = some.predict({**rows.inputs, "local": rows.inputs["local"] + 1})
        for other in (alone, without, some.predict_plain(rows.inputs)):
            np.testing.assert_allclose(other.barrier_ev, whole.barrier_ev, rtol=1e-5)
            np.testing.assert_array_equal(other.domain_distance, whole.domain_distance)
        changed = some.predict({**rows.inputs, "topology": rows.inputs["topology"] + 1})
        assert (changed.barrier_ev != whole.barrier_ev).any()

    def test_is_another_than_one_of_all_groups(self, some, checkpoint):
        assert some.digest != checkpoint.digest

    def test_only_versions_of_its_own_groups_matter(self, some, rows):
        def at_hand(name, **update):
            groups = [g.model_copy(update=update) if g.name == name else g for g in rows.spec.groups]
            return InputSpec(groups=tuple(groups))

        some.check_spec(at_hand("local", version=9))
        some.check_spec(at_hand("chemistry", keys=("other", "keys")))
        some.check_spec(InputSpec(groups=tuple(g for g in rows.spec.groups if g.name in SOME_GROUPS)))
        with pytest.raises(VersionError, match="'topology' in version 1, at hand is 9"):
            some.check_spec(at_hand("topology", version=9))
        with pytest.raises(VersionError, match=r"in the groups \['profile'\]"):
            some.check_spec(at_hand("profile", keys=("a", "b", "c", "d")))

    def test_settings_that_name_other_groups_are_damage(self, some, tmp_path):
        some.save(tmp_path / "ck")
        data = json.loads((tmp_path / "ck" / JSON_NAME).read_text())
        data["settings"]["groups"] = ["local"]
        (tmp_path / "ck" / JSON_NAME).write_text(json.dumps(data))
        with pytest.raises(CheckpointError, match=r"name the descriptor groups \['local'\]"):
            load(tmp_path / "ck")
