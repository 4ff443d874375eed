"""`lihop evaluate --importance`: what it prints, draws and refuses."""

from __future__ import annotations

import json

import pytest

from flows import importance as flow
from flows import refitting
from models.checkpoints import load
from models.importance import ImportanceSettings, importances
from tests.campaigns import RecordingSteps
from tests.models.conftest import make_rows

FLAGS = ("evaluate", "--importance", "--folds", "2", "--repeats", "2", "--groups", "local,topology")
FAMILIES = {"d_min": {"local": ("local_0", "local_1")}, "d_std": {"local": ("local_2",)},
            "H0 bars": {"topology": ("topology_0",)}, "all together": {"local": ("local_0",)}}  # fmt: skip


@pytest.fixture
def splits(monkeypatch):
    """Synthetic hops in the place of the data set; which splits were asked for."""
    asked = []

    def answer(_dataset, split, **_named):
        asked.append(split)
        return make_rows(40)

    monkeypatch.setattr(flow, "load_labelled", answer)
    monkeypatch.setattr(flow, "families", lambda: FAMILIES)
    # In this process: others would take seconds to import torch, and one test has them.
    monkeypatch.setattr(refitting, "PlainSteps", lambda _pool: RecordingSteps())
    return asked


def test_json_is_what_the_models_measure(lihop, checkpoint, monkeypatch):
    monkeypatch.setattr(flow, "load_labelled", lambda *_given, **_named: make_rows(40))
    monkeypatch.setattr(flow, "families", lambda: FAMILIES)
    result = lihop(*FLAGS, "--model", checkpoint, "--workers", "1", "--json")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    settings = load(checkpoint).settings.model_copy(update={"groups": ("local", "topology")})
    expected = importances(make_rows(40), settings, ImportanceSettings(n_folds=2, repeats=2), FAMILIES)
    assert found["rows"] == expected["rows"]
    assert found["mae_ev"] == expected["mae_ev"]
    assert (found["groups"], found["n"], found["n_hosts"], found["split"]) == (
        ["local", "topology"], 40, 10, "train, hosts held out"
    )  # fmt: skip


def test_tables(lihop, splits, checkpoint, tmp_path):
    path = tmp_path / "new" / "importance.svg"
    result = lihop(*FLAGS, "--model", checkpoint, "--figure", path)
    assert result.code == 0, result.err
    assert splits == ["train"]
    expected = (
        "Groups", "Families of descriptors", "Single descriptors", "rise in MAE (eV)", "local_0",
        "40 hops of 10 hosts", "d_min is number", "H0 bars is number", "paper", f"Wrote {path}",
    )  # fmt: skip
    for words in expected:
        assert words in result.out, words
    assert path.read_bytes().startswith(b"<?xml")


def test_page(lihop, splits, checkpoint):
    result = lihop(*FLAGS, "--model", checkpoint, "--markdown")
    assert result.code == 0, result.err
    assert result.out.startswith("# What each descriptor is worth")
    assert f"lihop evaluate --importance --model {checkpoint} --groups local,topology --folds 2" in result.out
    lines = [line for line in result.out.splitlines() if line.startswith("| `local_0` | local |")]
    assert len(lines) == 1


@pytest.mark.parametrize(
    ("flags", "messages"),
    [
        (["--importance", "--groups", "layers"], ["--groups layers", "'layers'", "local, profile, topology"]),
        (["--importance", "--groups", ""], ["--groups", "there are local"]),
        (["--importance", "--ablate", "groups"], ["--ablate", "give one of the two"]),
        (["--importance", "--split", "published"], ["--split", "give one of the two"]),
        (["--importance", "--keep"], ["--keep", "give one of the two"]),
        (["--importance", "--json", "--markdown"], ["--json and --markdown"]),
        (["--importance", "--figure", "a.pdf"], [".svg or .png"]),
        (["--importance", "--folds", "1"], ["1 folds", "at least 2 folds"]),
        (["--importance", "--folds", "11"], ["11 folds need as many hosts, got 10"]),
        (["--importance", "--model", "nothing"], ["--model nothing", "lihop train"]),
        (["--groups", "local"], ["--groups local goes with --importance"]),
        (["--markdown"], ["--markdown goes with --importance"]),
    ],
)
def test_bad_usage_is_one_message(lihop, splits, flags, messages):
    result = lihop("evaluate", *flags)
    assert result.code == 2
    assert result.is_one_message
    for message in messages:
        assert message in result.err
