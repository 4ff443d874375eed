"""A training that is killed goes on where it was, and ends as if nothing had happened."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from flows import train as flow
from models.checkpoints import load
from models.settings import TrainSettings
from tests.models.conftest import make_rows

ROOT = Path(__file__).resolve().parents[2]
POLL_S = 0.05
PATIENCE_S = 120.0
SETTINGS = TrainSettings(
    members=2, epochs=2, channels=4, blocks=1, hidden=4, fused=4, calibration_folds=2, calibration_members=1
)
NETWORKS = ["calibration-fold-0-0", "calibration-fold-1-0", "member-0", "member-1"]

# Trains on synthetic hops. Where it is told to, it kills itself, or waits to be killed.
TRAIN_AND_DIE = """
import os, signal, sys, threading
from pathlib import Path

from flows import train as flow
from models.settings import TrainSettings
from models.unfinished import Unfinished
from tests.models.conftest import make_rows

where, count, output, settings = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
seen = 0

def passed(point):
    global seen
    seen += point == where
    if seen == count and where == "epoch":
        threading.Event().wait()
    if seen == count:
        os.kill(os.getpid(), signal.SIGKILL)

replace, finish, report = Path.replace, Unfinished.finish, flow._report_epoch

def dying_replace(self, target):
    passed(Path(target).name if where == Path(target).name else Path(target).suffix)
    return replace(self, target)

def dying_finish(self):
    passed("finish")
    finish(self)

def dying_report(*call):
    report(*call)
    passed("epoch")

Path.replace, Unfinished.finish, flow._report_epoch = dying_replace, dying_finish, dying_report
flow.load_labelled_many = lambda *_asked, **_named: (make_rows(40), "synthetic rows")
flow._data_digest = lambda name, data_dir: name
flow.train(
    TrainSettings.model_validate_json(settings), output, accelerator="cpu", logs=output.with_name("logs")
)
"""


def train(output):
    return flow.train(SETTINGS, output, accelerator="cpu", logs=output.with_name("logs"))


@pytest.fixture
def described(monkeypatch):
    """Synthetic hops in the place of the data set; how often they were described."""
    calls = []

    def answer(*asked, **_named):
        calls.append(asked)
        return make_rows(40), "synthetic rows"

    monkeypatch.setattr(flow, "load_labelled_many", answer)
    monkeypatch.setattr(flow, "_data_digest", lambda name, _data_dir: name)
    return calls


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The digest of a training that nothing happened to."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            flow, "load_labelled_many", lambda *_asked, **_named: (make_rows(40), "synthetic rows")
        )
        patched.setattr(flow, "_data_digest", lambda name, _data_dir: name)
        return train(tmp_path_factory.mktemp("undisturbed") / "one")["model_digest"]


def killed(where, count, output):
    """Train in a process of its own until it is killed; return how it ended."""
    arguments = [where, str(count), str(output), SETTINGS.model_dump_json()]
    with subprocess.Popen(
        [sys.executable, "-c", TRAIN_AND_DIE, *arguments],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        if where == "epoch":
            wait_for_a_fit(output.with_name("one.unfinished"), process)
            os.kill(process.pid, signal.SIGKILL)
        _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == -signal.SIGKILL, said


def wait_for_a_fit(folder, process):
    pause = threading.Event()
    for _ in range(int(PATIENCE_S / POLL_S)):
        if list(folder.glob("fits/*.safetensors")) or process.poll() is not None:
            return
        pause.wait(POLL_S)
    pytest.fail("no network was fitted")


@pytest.mark.parametrize(
    ("where", "count", "fits", "described_again"),
    [
        # Amid the second network, from outside.
        ("epoch", 3, 1, False),
        # The hops are described, and not yet kept; or kept, and the manifest does not say so.
        pytest.param("hops.npz", 1, 0, True, marks=pytest.mark.slow),
        pytest.param("training.json", 1, 0, True, marks=pytest.mark.slow),
        # The third network is fitted, and not yet kept.
        pytest.param(".safetensors", 3, 2, False, marks=pytest.mark.slow),
        # The checkpoint stands, and the folder does too.
        pytest.param("finish", 1, 4, False, marks=pytest.mark.slow),
    ],
)
def test_it_goes_on(tmp_path, described, undisturbed, where, count, fits, described_again):
    output = tmp_path / "one"
    killed(where, count, output)
    assert (tmp_path / "one.unfinished").is_dir()

    found = train(output)

    assert found["resumed_fits"] == fits
    assert found["model_digest"] == undisturbed == load(output).digest
    assert len(described) == described_again
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["logs", "one"]
    for network in NETWORKS:
        log = tmp_path / "logs" / network
        with (log / "metrics.csv").open() as stream:
            assert [row["epoch"] for row in csv.DictReader(stream)] == ["1", "2"]
        assert len(list(log.glob("events.out.tfevents.*"))) == 1
