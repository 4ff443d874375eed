"""`lihop train`: the checkpoint that it writes, and what it refuses."""

from __future__ import annotations

import pytest

from flows import train as flow
from models.checkpoints import load
from tests.models.conftest import make_rows


@pytest.fixture
def splits(monkeypatch):
    """Synthetic hops in the place of the data set; which splits were asked for."""
    asked = []

    def answer(_dataset, split, **_named):
        asked.append(split)
        return make_rows(40)

    monkeypatch.setattr(flow, "load_labelled", answer)
    return asked


class TestTrainGroups:
    def test_a_checkpoint_of_some_groups(self, lihop, splits, tmp_path, monkeypatch):
        from models import settings

        quick = {"calibration_folds": 2, "calibration_members": 1, "channels": 4, "blocks": 1}
        fields = settings.TrainSettings

        monkeypatch.setattr(settings, "TrainSettings", lambda **given: fields(**quick, **given))
        flags = ["--members", "1", "--epochs", "1", "--groups", "topology, local"]
        result = lihop("train", "--output", tmp_path / "some", *flags)
        assert result.code == 0, result.err
        assert load(tmp_path / "some").spec.names() == ("local", "topology")

    @pytest.mark.parametrize("groups", ["geometry", "", "local,local", "local,"])
    def test_groups_that_there_are_not(self, lihop, splits, groups):
        result = lihop("train", "--groups", groups)
        assert result.code == 2
        assert result.is_one_message
        assert "groups" in result.err
        assert splits == []
