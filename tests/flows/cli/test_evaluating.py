"""`lihop evaluate --ablate groups`, and a checkpoint of some groups: what they print and refuse."""

from __future__ import annotations

import json

import pytest

from flows import evaluate as flow
from models.checkpoints import load
from tests.campaigns import RecordingSteps, labelled_noise, write_checkpoint, write_good
from tests.models.conftest import make_rows

COLUMNS = ("descriptor groups", "MAE (eV)", "95% interval", "MAE below 3 eV", "Spearman", "Δ MAE (eV)")


@pytest.fixture
def splits(monkeypatch):
    """Synthetic hops in the place of the data set; which splits were asked for."""
    asked = []

    def answer(_dataset, split, **_named):
        asked.append(split)
        return make_rows(40)

    monkeypatch.setattr(flow, "load_labelled", answer)
    # In this process: others would take seconds to import torch, and another test has them.
    monkeypatch.setattr(flow, "PlainSteps", lambda _pool: RecordingSteps())
    return asked


class TestAblate:
    FLAGS = ("evaluate", "--ablate", "groups", "--folds", "2", "--members", "1")

    def test_prints_a_table(self, lihop, splits, checkpoint):
        result = lihop(*self.FLAGS, "--model", checkpoint)
        assert result.code == 0, result.err
        assert splits == ["train"]
        for heading in COLUMNS:
            assert heading in result.out
        for predictor in ("cnn", "extra_trees"):
            lines = [line for line in result.out.splitlines() if predictor in line]
            assert len(lines) == 9
            for name in ("all", "local alone", "chemistry alone", "without local", "without chemistry"):
                assert sum(name in line for line in lines) == 1, name
        assert "40 hops of 10 hosts" in result.out
        assert "fitting predictors" in result.err

    def test_json_has_the_keys_that_scripts_rely_on(self, lihop, splits, checkpoint, monkeypatch):
        two = make_rows(40).only(("local", "topology"))
        monkeypatch.setattr(flow, "load_labelled", lambda *_given, **_named: two)
        result = lihop(*self.FLAGS, "--model", checkpoint, "--repeats", "2", "--json")
        found = json.loads(result.out)
        expected = {"dataset", "split", "n", "n_hosts", "n_folds", "members", "repeats", "rows"}
        assert set(found) >= expected
        assert (found["split"], found["n_folds"], found["members"], found["repeats"]) == (
            "train, hosts held out", 2, 1, 2
        )  # fmt: skip
        assert [row["what"] for row in found["rows"]] == (["all"] + ["alone"] * 2 + ["left_out"] * 2) * 2
        for row in found["rows"]:
            assert len(row["mae_ci_ev"]) == len(row["delta_ci_ev"]) == 2

    @pytest.mark.parametrize(
        ("flags", "messages"),
        [
            (["--ablate", "layers"], ["--ablate layers", "there is: groups"]),
            (["--ablate", "groups", "--keep"], ["--keep", "--ablate"]),
            (["--ablate", "groups", "--split", "published"], ["--split published", "leave --split out"]),
            (["--split", "grouped"], ["--split grouped", "there is: published"]),
            (["--ablate", "groups", "--figure", "a.svg"], ["--figure", "--ablate"]),
            (["--ablate", "groups", "--folds", "1"], ["1 folds", "at least 2 folds"]),
            (["--ablate", "groups", "--members", "0"], ["0 members", "1 member"]),
            (["--ablate", "groups", "--folds", "11"], ["11 folds need as many hosts, got 10"]),
            (["--ablate", "groups", "--model", "nothing"], ["--model nothing", "lihop train"]),
            (["--folds", "3"], ["--folds", "--ablate groups"]),
        ],
    )
    def test_bad_usage_is_one_message(self, lihop, splits, flags, messages):
        result = lihop("evaluate", *flags)
        assert result.code == 2
        assert result.is_one_message
        for message in messages:
            assert message in result.err


class TestCheckpointOfSomeGroups:
    def test_screens_like_any_other(self, bench, tmp_path):
        write_good(bench.folder, ("lif.cif", "licoo2.cif"))
        bench.checkpoint = write_checkpoint(tmp_path / "some", groups=("profile", "chemistry"))
        bench.screen()
        assert bench.reasons() == {}
        tables = bench.tables()
        digest = load(bench.checkpoint).digest
        assert len(bench.rankings()) == 2
        assert {row["model_digest"] for row in tables["predictions"]} == {digest}
        (model,) = tables["models"]
        assert set(json.loads(model["descriptor_versions_json"])) == {"profile", "chemistry"}

    def test_is_judged_like_any_other(self, lihop, monkeypatch, tmp_path):
        path = write_checkpoint(tmp_path / "some", groups=("local",))
        rows = {"train": labelled_noise(24, seed=0), "test": labelled_noise(9, seed=5, prefix="unseen")}
        monkeypatch.setattr(flow, "load_labelled", lambda _dataset, split, **_named: rows[split])
        result = lihop("evaluate", "--model", path, "--json")
        assert result.code == 0, result.err
        assert json.loads(result.out)["model_digest"] == load(path).digest
