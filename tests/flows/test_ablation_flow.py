"""What the descriptor groups are worth: from the training split alone, the same over processes as in one."""

from __future__ import annotations

import pytest

from flows import importance as flow
from flows.progress import reporting
from models.ablation import AblationSettings, ablate
from models.checkpoints import load
from models.errors import CheckpointError, InputError
from tests.models.conftest import make_rows

QUICK = AblationSettings(n_folds=2, members=1)


@pytest.fixture
def asked(monkeypatch):
    """The splits that were asked for; each answers with synthetic hops of two groups."""
    splits = []

    def answer(dataset, split, *, data_dir, workers):
        del data_dir, workers
        splits.append((dataset, split))
        return make_rows(40).only(("local", "topology"))

    monkeypatch.setattr(flow, "load_labelled", answer)
    return splits


class Counting:
    """Remembers how far each stage is."""

    def __init__(self):
        self.stages = {}

    def stage(self, name, total):
        self.stages[name] = [0, total]

    def advance(self, name, count):
        self.stages[name][0] += count

    def message(self, text):
        raise AssertionError(text)


def test_in_other_processes_as_in_this_one_and_the_test_split_untouched(asked, checkpoint):
    counting = Counting()
    with reporting(counting):
        found = flow.ablate_groups(QUICK, model=str(checkpoint), workers=1)
    assert asked == [("devi2025", "train")]
    assert counting.stages == {flow.REFITTING: [12, 12]}
    rows = make_rows(40).only(("local", "topology"))
    assert found["rows"] == ablate(rows, load(checkpoint).settings, QUICK)
    figures = {key: value for key, value in found.items() if key not in {"rows", "median_guess_mae_ev"}}
    assert figures == {
        "dataset": "devi2025", "split": "train, hosts held out", "n": 40, "n_hosts": 10, "n_folds": 2,
        "members": 1, "repeats": 1, "descriptor_versions": {"local": 1, "topology": 1},
        "settings_of": load(checkpoint).digest,
    }  # fmt: skip
    assert 0 < found["median_guess_mae_ev"] < 1


def test_too_few_hosts_are_refused(asked, checkpoint):
    with pytest.raises(InputError, match="11 folds need as many hosts, got 10"):
        flow.ablate_groups(AblationSettings(n_folds=11), model=str(checkpoint))


def test_no_such_model_is_said_before_any_work(asked):
    with pytest.raises(CheckpointError, match="--model nonsense"):
        flow.ablate_groups(QUICK, model="nonsense")
    assert asked == []
