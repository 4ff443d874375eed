"""`lihop train`: the checkpoint and the logs that it writes, how it goes on, and what it refuses."""

from __future__ import annotations

import csv
import json
import signal
from types import SimpleNamespace

import pytest

from flows import train as flow
from flows.progress import reporter
from models.checkpoints import load
from models.errors import SeenRowsError
from models.settings import TrainSettings
from tests.models.conftest import make_rows

TINY = (
    "--members", "1", "--epochs", "2", "--set", "channels=4", "--set", "blocks=1", "--set", "hidden=4",
    "--set", "fused=4", "--set", "calibration-folds=2", "--set", "calibration_members=1",
)  # fmt: skip


@pytest.fixture
def asked(monkeypatch):
    """Synthetic hops in the place of the data sets; what was asked for."""
    calls = []

    def answer(datasets, split, **_named):
        calls.append((list(datasets), split))
        return make_rows(40), f"{split} rows of {', '.join(datasets)}."

    monkeypatch.setattr(flow, "load_labelled_many", answer)
    monkeypatch.setattr(flow, "_data_digest", lambda name, _data_dir: f"files of {name}")
    return calls


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to run in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


class TestSettings:
    def test_flags_and_pairs(self, lihop, asked, here):
        more = ("--patience", "1", "--learning-rate", "0.01", "--set", "dropout=0", "--set", "clip=4.5")
        result = lihop("train", "--output", "some", *TINY, *more, "--groups", "topology, local", "--no-logs")
        assert result.code == 0, result.err
        found = load(here / "some").settings
        assert found == TrainSettings(
            members=1, epochs=2, channels=4, blocks=1, hidden=4, fused=4, calibration_folds=2,
            calibration_members=1, patience=1, learning_rate=0.01, dropout=0, clip=4.5,
            groups=("local", "topology"),
        )  # fmt: skip

    def test_none_is_a_value(self, lihop, asked, here):
        result = lihop("train", "--output", "some", *TINY, "--set", "patience=none", "--no-logs")
        assert result.code == 0, result.err
        assert load(here / "some").settings.patience is None

    @pytest.mark.parametrize("groups", ["geometry", "", "local,local", "local,"])
    def test_groups_that_there_are_not(self, lihop, asked, here, groups):
        result = lihop("train", "--groups", groups)
        assert result.code == 2
        assert result.is_one_message
        assert "groups" in result.err
        assert asked == []

    @pytest.mark.parametrize(
        ("flags", "said"),
        [
            (["--set", "layers=3"], "with one of the names arch, batch_size"),
            (["--set", "epochs"], "give NAME=VALUE"),
            (["--epochs", "3", "--set", "epochs=4"], "epochs is given twice"),
            (["--set", "dropout=2"], "dropout: Input should be less than 1"),
            (["--set", "epochs=many"], "epochs: Input should be a valid integer"),
            (["--patience", "0"], "patience: Input should be greater than or equal to 1"),
            (["--no-logs", "--logs", "there"], "contradict each other"),
            (["--arch", "mlp"], "arch: Input should be 'cnn', 'rnn' or 'fourier'"),
        ],
    )
    def test_what_is_refused_before_anything_is_read(self, lihop, asked, here, flags, said):
        result = lihop("train", *flags)
        assert result.code == 2
        assert result.is_one_message
        assert said in result.err
        assert asked == []
        assert list(here.iterdir()) == []


class TestRows:
    def test_published_by_default(self, lihop, asked, here):
        result = lihop("train", "--output", "one", *TINY, "--json", "--no-logs")
        found = json.loads(result.out)
        assert asked == [(["devi2025"], "train")]
        assert (found["name"], found["rows"]) == ("published", "train")
        assert found["model_digest"] == load(here / "one").digest
        assert result.err == ""

    def test_all_rows_of_several_data_sets_make_production(self, lihop, asked, here):
        sets = ("--dataset", "devi2025", "--dataset", "own")
        result = lihop("train", "--output", "one", "--rows", "all", *sets, *TINY, "--no-logs")
        assert result.code == 0, result.err
        assert asked == [(["devi2025", "own"], "all")]
        checkpoint = load(here / "one")
        assert checkpoint.name == "production"
        assert checkpoint.trained_on == "all rows of devi2025, own. " + flow.NO_FIGURE
        assert "evaluate" not in result.out

    def test_another_name(self, lihop, asked, here):
        result = lihop("train", "--output", "one", "--name", "mine", *TINY, "--no-logs")
        assert result.code == 0, result.err
        assert load(here / "one").name == "mine"

    def test_test_hops_under_other_ids_are_told_with_json_and_refused_as_a_test(
        self, lihop, asked, here, monkeypatch
    ):
        answer = flow.load_labelled_many

        def warn(*given, **named):
            reporter().message("own-lab holds test hops")
            return answer(*given, **named)

        pair = (("own-lab", SimpleNamespace(hop_id="h1")), ("devi2025", SimpleNamespace(hop_id="test-3")))
        monkeypatch.setattr(flow, "load_labelled_many", warn)
        monkeypatch.setattr(flow, "known_tests", lambda *_given: [pair])
        flags = ("--dataset", "own-lab", "--json", "--no-logs")
        result = lihop("train", "--output", "one", *TINY, *flags)
        assert result.code == 0, result.err
        assert result.err == "own-lab holds test hops\n"
        checkpoint = load(here / "one")
        assert json.loads(result.out)["model_digest"] == checkpoint.digest
        with pytest.raises(SeenRowsError, match="1 of these rows"):
            checkpoint.refuse_seen(["devi2025:test-3", "devi2025:test-4"])
        with pytest.raises(SeenRowsError, match="40 of these rows"):
            checkpoint.refuse_seen(make_rows(40).ids)


class TestOutput:
    def test_a_checkpoint_and_an_empty_folder_are_replaced(self, lihop, asked, here):
        (here / "one").mkdir()
        for seed in ("0", "1"):
            result = lihop("train", "--output", "one", *TINY, "--seed", seed, "--no-logs")
            assert result.code == 0, result.err
            assert load(here / "one").settings.seed == int(seed)

    @pytest.mark.parametrize("name", ["thesis", "file"])
    def test_anything_else_is_left_alone(self, lihop, asked, here, name):
        (here / "thesis").mkdir()
        (here / "thesis" / "thesis.tex").touch()
        (here / "file").touch()
        result = lihop("train", "--output", name, *TINY)
        assert result.code == 2
        assert result.is_one_message
        assert "something else than a checkpoint" in result.err
        assert asked == []
        assert sorted(entry.name for entry in here.iterdir()) == ["file", "thesis"]
        assert (here / "thesis" / "thesis.tex").is_file()

    @pytest.mark.parametrize(
        ("files", "said"),
        [
            ({"model.json": '{"mine": 1}'}, "model.json is none of lihop's, without format and digest"),
            ({"model.json": "mine"}, "model.json is not JSON"),
            ({"model.json": '{"format": 1, "digest": "0"}', "thesis.txt": ""}, "it holds thesis.txt"),
            ({"MODEL_CARD.md": "mine"}, "it holds MODEL_CARD.md and no model.json"),
        ],
    )
    def test_a_file_called_as_ours_makes_no_checkpoint(self, lihop, asked, here, files, said):
        (here / "one").mkdir()
        for name, text in files.items():
            (here / "one" / name).write_text(text)
        result = lihop("train", "--output", "one", *TINY, "--no-logs")
        assert result.code == 2
        assert result.is_one_message
        assert said in result.err
        assert "give another name" in result.err
        assert asked == []
        assert {path.name: path.read_text() for path in (here / "one").iterdir()} == files

    @pytest.mark.parametrize("name", [".", "..", "sub/..", "../here", "/"])
    def test_a_folder_in_use_is_refused_though_empty(self, lihop, asked, tmp_path, monkeypatch, name):
        (tmp_path / "here").mkdir()
        monkeypatch.chdir(tmp_path / "here")
        result = lihop("train", "--output", name, *TINY, "--no-logs")
        assert result.code == 2
        assert result.is_one_message
        assert "in use and cannot be replaced; name one within it" in result.err
        assert asked == []
        assert [path.name for path in tmp_path.rglob("*")] == ["here"]

    def test_a_file_put_there_while_it_trains_is_not_lost(self, lihop, asked, here, monkeypatch):
        def put(*_call):
            (here / "one").mkdir(exist_ok=True)
            (here / "one" / "thesis.txt").write_text("mine")

        monkeypatch.setattr(flow, "_report_fit", put)
        result = lihop("train", "--output", "one", *TINY, "--no-logs")
        assert result.code == 2
        assert "it holds thesis.txt" in result.err
        assert (here / "one" / "thesis.txt").read_text() == "mine"
        assert (here / "one.unfinished").is_dir()


class TestLogs:
    def test_a_folder_a_network_beside_the_checkpoint(self, lihop, asked, here):
        result = lihop("train", "--output", "one", *TINY)
        assert result.code == 0, result.err
        assert sorted(entry.name for entry in here.iterdir()) == ["one", "one.logs"]
        networks = ["calibration-fold-0-0", "calibration-fold-1-0", "member-0"]
        assert sorted(entry.name for entry in (here / "one.logs").iterdir()) == networks
        with (here / "one.logs" / "member-0" / "metrics.csv").open() as stream:
            rows = list(csv.DictReader(stream))
        assert [row["epoch"] for row in rows] == ["1", "2"]
        assert "one.logs" in result.out

    def test_another_folder_and_none(self, lihop, asked, here):
        assert lihop("train", "--output", "one", "--logs", "there", *TINY).code == 0
        assert lihop("train", "--output", "two", "--no-logs", *TINY).code == 0
        assert sorted(entry.name for entry in here.iterdir()) == ["one", "there", "two"]


class TestGoingOn:
    @pytest.fixture
    def cut_off(self, lihop, asked, here, monkeypatch):
        """A training that ends after its first network; the digest that it would have had."""
        whole = json.loads(lihop("train", "--output", "whole", *TINY, "--json", "--no-logs").out)
        asked.clear()

        class LostError(OSError):
            pass

        def fall(*_arguments):
            raise LostError("the disk is gone")

        with monkeypatch.context() as patched:
            patched.setattr(flow, "_report_fit", fall)
            assert lihop("train", "--output", "one", *TINY, "--no-logs").code == 2
        assert asked == [(["devi2025"], "train")]
        assert (here / "one.unfinished").is_dir()
        return whole["model_digest"]

    def test_the_same_digest_without_describing_again(self, lihop, asked, here, cut_off):
        found = json.loads(lihop("train", "--output", "one", *TINY, "--json", "--no-logs").out)
        assert found["model_digest"] == cut_off
        assert found["resumed_fits"] == 1
        assert len(asked) == 1
        assert sorted(entry.name for entry in here.iterdir()) == ["one", "whole"]

    def test_otherwise_is_refused_by_name(self, lihop, asked, here, cut_off):
        flags = ("--rows", "all", "--set", "clip=4", "--no-logs")
        result = lihop("train", "--output", "one", *TINY, *flags)
        assert result.code == 2
        assert result.is_one_message
        assert "rows was 'train' and is now 'all'; settings.clip was 5.0 and is now 4.0" in result.err
        assert "--fresh" in result.err
        assert not (here / "one").exists()

    def test_changed_files_are_refused(self, lihop, asked, here, cut_off, monkeypatch):
        monkeypatch.setattr(flow, "_data_digest", lambda name, _data_dir: f"new files of {name}")
        result = lihop("train", "--output", "one", *TINY, "--no-logs")
        assert result.code == 2
        assert "data.devi2025 was 'files of devi2025' and is now 'new files of devi2025'" in result.err

    def test_an_interrupt_ends_in_one_line_and_loses_nothing(self, lihop, asked, here, cut_off, monkeypatch):
        with monkeypatch.context() as patched:
            patched.setattr(flow, "_report_epoch", lambda *_call: signal.raise_signal(signal.SIGINT))
            result = lihop("train", "--output", "one", *TINY, "--no-logs")
        assert (result.code, result.out) == (130, "")
        assert result.is_one_message
        assert "run the same command to go on" in result.err
        found = json.loads(lihop("train", "--output", "one", *TINY, "--json", "--no-logs").out)
        assert (found["model_digest"], found["resumed_fits"]) == (cut_off, 1)

    def test_what_is_the_same_goes_on_though_anew_would_do(self, lihop, asked, here, cut_off):
        flags = ("--fresh-if-changed", "--json", "--no-logs")
        found = json.loads(lihop("train", "--output", "one", *TINY, *flags).out)
        assert (found["model_digest"], found["resumed_fits"]) == (cut_off, 1)

    def test_what_changed_is_begun_anew_and_told(self, lihop, asked, here, cut_off):
        flags = ("--set", "clip=4", "--fresh-if-changed", "--json", "--no-logs")
        result = lihop("train", "--output", "one", *TINY, *flags)
        found = json.loads(result.out)
        assert found["resumed_fits"] == 0
        assert found["model_digest"] != cut_off
        assert len(asked) == 2
        assert "Begins anew:" in result.err
        assert "settings.clip was 5.0 and is now 4.0" in result.err

    def test_begun_anew(self, lihop, asked, here, cut_off):
        flags = ("--set", "clip=4", "--fresh", "--json", "--no-logs")
        found = json.loads(lihop("train", "--output", "one", *TINY, *flags).out)
        assert found["resumed_fits"] == 0
        assert found["model_digest"] != cut_off
        assert len(asked) == 2


class TestDataDigest:
    """A data set's files, their names and nothing else decide it."""

    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        folder = tmp_path / "own-mine"
        folder.mkdir()
        (folder / "hops.csv").write_text("1")
        monkeypatch.setattr(flow, "require", lambda _name, _data_dir: folder)
        return folder

    def test_it_follows_the_files(self, folder):
        def digest():
            return flow._data_digest("own-mine", None)

        first = digest()
        assert digest() == first
        (folder / "hops.csv").write_text("2")
        second = digest()
        (folder / "hops.csv").rename(folder / "other.csv")
        third = digest()
        (folder / "more.csv").touch()
        assert len({first, second, third, digest()}) == 4
