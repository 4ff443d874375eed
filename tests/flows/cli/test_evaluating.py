"""`lihop evaluate`: splits, comparison, coverage and ablation, what they print and refuse."""

from __future__ import annotations

import dataclasses
import json

import pytest

from flows import evaluate as flow
from flows import importance, refitting
from flows.labelled import joined
from models import baselines, costs
from models.arrays import host_folds, id_digest
from models.checkpoints import load
from models.networks import NETWORKS
from tasks.datasets.errors import NoSuchSplitError
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

    monkeypatch.setattr(importance, "load_labelled", answer)
    # In this process: others would take seconds to import torch, and another test has them.
    monkeypatch.setattr(refitting, "PlainSteps", lambda _pool: RecordingSteps())
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
        assert "refitting folds" in result.err

    def test_json_has_the_keys_that_scripts_rely_on(self, lihop, splits, checkpoint, monkeypatch):
        two = make_rows(40).only(("local", "topology"))
        monkeypatch.setattr(importance, "load_labelled", lambda *_given, **_named: two)
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
            (["--ablate", "groups", "--figure", "a.svg"], ["--figure", "--ablate"]),
            (["--ablate", "groups", "--folds", "1"], ["1 folds", "at least 2 folds"]),
            (["--ablate", "groups", "--members", "0"], ["0 members", "1 member"]),
            (["--ablate", "groups", "--folds", "11"], ["11 folds need as many hosts, got 10"]),
            (["--ablate", "groups", "--model", "nothing"], ["--model nothing", "lihop train"]),
            (["--ablate", "groups", "--residuals", "a.svg"], ["--residuals", "--ablate"]),
            (["--ablate", "groups", "--compare"], ["--compare", "--ablate"]),
            (["--ablate", "groups", "--coverage"], ["--coverage", "--ablate"]),
            (["--folds", "3"], ["--folds", "--ablate groups"]),
            (["--split", "random"], ["--split random", "there are: published, grouped"]),
            (["--members", "2"], ["--members", "--split grouped"]),
            (["--split", "published", "--coverage"], ["--coverage", "--split grouped"]),
            (["--splits", "9"], ["--splits 9", "--coverage"]),
            (["--coverage", "--splits", "0"], ["--splits 0", "at least 1"]),
            (["--split", "grouped", "--members", "0"], ["--members 0", "at least 1"]),
            (["--split", "grouped", "--repeats", "2"], ["--repeats", "--ablate groups"]),
            (["--residuals", "a.pdf"], [".svg or .png"]),
        ],
    )
    def test_bad_usage_is_one_message(self, lihop, splits, flags, messages):
        result = lihop("evaluate", *flags)
        assert result.code == 2
        assert result.is_one_message
        for message in messages:
            assert message in result.err


@pytest.fixture
def hops(monkeypatch):
    """Synthetic hops of the real shapes in the place of the data set, and folds for them."""
    rows = {"train": labelled_noise(24, seed=0), "test": labelled_noise(9, seed=5, prefix="unseen")}
    rows["all"] = joined([rows["train"], rows["test"]])
    monkeypatch.setattr(flow, "load_labelled", lambda _dataset, split, **_named: rows[split])
    monkeypatch.setattr(flow, "committed_folds", lambda _dataset, all_rows: host_folds(all_rows.hosts, 2, 0))
    # In this process: others would take seconds to import torch, and another test has them.
    monkeypatch.setattr(refitting, "PlainSteps", lambda _pool: RecordingSteps())
    monkeypatch.setattr(baselines, "TREES", 3)
    monkeypatch.setattr(costs, "HOPS_TIMED", 8)
    return rows


@pytest.fixture
def unseen(tmp_path, hops):
    """A checkpoint that has seen the training rows alone."""
    return write_checkpoint(tmp_path / "unseen", groups=("local",))


@pytest.fixture
def seen(tmp_path, hops):
    """A checkpoint that has seen every row."""
    checkpoint = load(write_checkpoint(tmp_path / "seen", groups=("local",)))
    every = frozenset(id_digest(identifier) for identifier in hops["all"].ids)
    dataclasses.replace(checkpoint, training_id_digests=every).save(tmp_path / "all")
    return tmp_path / "all"


class TestPublished:
    def test_a_checkpoint_that_has_seen_the_rows_is_refused(self, lihop, seen):
        result = lihop("evaluate", "--model", seen)
        assert result.code == 2
        assert result.is_one_message
        assert "--split grouped" in result.err

    def test_prints_what_is_judged_and_what_stands_beside_it(self, lihop, unseen, monkeypatch):
        monkeypatch.setenv("COLUMNS", "300")
        result = lihop("evaluate", "--model", unseen)
        assert result.code == 0, result.err
        assert "9 hops of 6 hosts of devi2025, split published" in result.out
        for name in ("this model", "extra_trees", "affine_bvse", "median"):
            lines = [line.lstrip("│ ") for line in result.out.splitlines()]
            assert sum(line.startswith(name) for line in lines) == 1, name
        assert "inside the training domain" in result.out

    def test_the_default_is_the_one_that_has_not_seen_the_test_split(self, lihop, hops, monkeypatch):
        asked = []
        monkeypatch.setattr(flow, "find_checkpoint", lambda name: asked.append(name) or 1 / 0)
        for given in (None, "mine"):
            if given is not None:
                monkeypatch.setenv("LIHOP_MODEL", given)
            with pytest.raises(ZeroDivisionError):
                lihop("evaluate")
        assert asked == ["published", "mine"]

    def test_keeps_the_figures_in_the_card(self, lihop, unseen):
        assert lihop("evaluate", "--model", unseen, "--keep", "--json").code == 0
        kept = load(unseen).metrics["devi2025, published test split"]
        assert kept["n"] == 9

    @pytest.mark.parametrize("compare", [(), ("--compare",)])
    def test_a_data_set_of_test_hops_alone_is_judged_without_baselines(
        self, lihop, unseen, hops, monkeypatch, compare
    ):
        def tests_alone(_dataset, split, **_named):
            if split == "train":
                raise NoSuchSplitError("split 'train': no hops; own-lab has test")
            return hops[split]

        flags = ("evaluate", "--model", unseen, "--dataset", "own-lab", *compare)
        whole = json.loads(lihop(*flags, "--json").out)
        monkeypatch.setattr(flow, "load_labelled", tests_alone)
        result = lihop(*flags, "--json")
        assert result.code == 0, result.err
        found = json.loads(result.out)
        assert (found["n"], found["mae_ev"]) == (9, whole["mae_ev"])
        assert found["baselines"] == {}
        assert "own-lab has no train split" in found["baselines_note"]
        assert "baselines_note" not in whole
        if compare:
            assert [row["predictor"] for row in found["comparison"]] == ["checkpoint"]
        assert "own-lab has no train split" in lihop(*flags).out.replace("\n", " ")


class TestGrouped:
    def test_a_checkpoint_that_has_seen_the_rows_is_fine(self, lihop, seen):
        result = lihop("evaluate", "--model", seen, "--split", "grouped", "--members", "1", "--json")
        assert result.code == 0, result.err
        found = json.loads(result.out)
        assert (found["split"], found["n"], found["n_hosts"]) == ("grouped", 33, 6)
        assert (found["n_folds"], found["members"]) == (2, 1)
        assert set(found["baselines"]) == {"extra_trees", "affine_bvse", "median"}
        difference = found["baselines"]["median"]["difference"]
        assert difference["delta_mae_ev"] == pytest.approx(
            found["baselines"]["median"]["mae_ev"] - found["mae_ev"]
        )
        assert 0 <= found["coverage_90"] <= 1
        assert found["mae_in_domain_ev"] is not None

    def test_prints_and_draws(self, lihop, unseen, tmp_path):
        pictures = [tmp_path / "parity.svg", tmp_path / "residuals.svg"]
        flags = ["--figure", pictures[0], "--residuals", pictures[1], "--members", "1"]
        result = lihop("evaluate", "--model", unseen, "--split", "grouped", *flags)
        assert result.code == 0, result.err
        assert "refitted without each of 2 folds of whole hosts, networks a fold: 1" in result.out
        for path in pictures:
            assert path.read_text().count('<g id="hop-') == 33
            assert f"Wrote {path}." in result.out

    def test_as_many_members_as_the_checkpoint_has(self, lihop, unseen):
        result = lihop("evaluate", "--model", unseen, "--split", "grouped", "--json")
        assert json.loads(result.out)["members"] == load(unseen).settings.members == 2


class TestCompare:
    @pytest.mark.parametrize("split", ["published", "grouped"])
    def test_one_table_of_all(self, lihop, unseen, split):
        result = lihop("evaluate", "--model", unseen, "--compare", "--split", split, "--json")
        assert result.code == 0, result.err
        found = json.loads(result.out)
        rows = {row["predictor"]: row for row in found["comparison"]}
        assert list(rows) == ["checkpoint", *NETWORKS, "extra_trees", "affine_bvse", "median"]
        assert rows["checkpoint"]["mae_ev"] == found["mae_ev"]
        # The checkpoint has trees beside its networks, which are judged alone in a row of their own.
        arch = load(unseen).settings.arch
        assert load(unseen).ensemble.trees is not None
        assert rows[arch]["mae_ev"] != pytest.approx(found["mae_ev"], rel=1e-6)
        assert rows["checkpoint"]["parameters"] > rows[arch]["parameters"]
        for name, row in rows.items():
            assert set(row["intervals"]) == set(row["intervals_over_hosts"])
            assert (row["difference"] is None) == (name == "checkpoint")
            assert row["by_ion"]["Li"]["n"] == found["n"]
            assert row["parameters"] >= 1
            assert row["training_seconds"] > 0
        assert rows["checkpoint"]["hops_per_second"] > 0

    @pytest.mark.parametrize("split", ["published", "grouped"])
    def test_networks_without_trees_are_the_row_of_their_kind(self, lihop, unseen, split):
        checkpoint = load(unseen)
        dataclasses.replace(checkpoint, ensemble=checkpoint.ensemble.networks_alone()).save(unseen)
        result = lihop("evaluate", "--model", unseen, "--compare", "--split", split, "--json")
        assert result.code == 0, result.err
        rows = {row["predictor"]: row for row in json.loads(result.out)["comparison"]}
        arch = rows[checkpoint.settings.arch]
        assert arch["mae_ev"] == pytest.approx(rows["checkpoint"]["mae_ev"], rel=1e-6)
        assert arch["parameters"] == rows["checkpoint"]["parameters"]
        assert rows["checkpoint"]["training_seconds"] == arch["training_seconds"] > 0

    def test_prints_it(self, lihop, unseen, monkeypatch):
        monkeypatch.setenv("COLUMNS", "300")
        result = lihop("evaluate", "--model", unseen, "--compare")
        assert result.code == 0, result.err
        for heading in ("MAE below 3 eV", "over whole hosts", "MAE of Li hops", "hops a second"):
            assert heading in result.out
        assert "above zero, checkpoint is better" in result.out


class TestCoverage:
    def test_goes_with_hosts_held_out(self, lihop, unseen):
        result = lihop("evaluate", "--model", unseen, "--coverage", "--splits", "4", "--json")
        assert result.code == 0, result.err
        found = json.loads(result.out)
        assert found["split"] == "grouped"
        assert found["coverage"]["splits"] == 4
        assert set(found["coverage"]["coverage"]) == {"mean", "sd", "p05", "p95"}
        assert set(found["coverage"]["constant"]) == {"coverage", "coverage_li", "median_ratio"}

    def test_prints_it(self, lihop, unseen):
        result = lihop("evaluate", "--model", unseen, "--coverage", "--splits", "2")
        assert result.code == 0, result.err
        assert "hosts divided 2 times" in result.out
        assert "coverage, Li hops" in result.out


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

    def test_is_judged_like_any_other(self, lihop, unseen):
        result = lihop("evaluate", "--model", unseen, "--json")
        assert result.code == 0, result.err
        assert json.loads(result.out)["model_digest"] == load(unseen).digest
