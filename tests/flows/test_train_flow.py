"""The flow `train-barrier-model` on an ephemeral API: a checkpoint, and what the UI shows of it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from flows.train_flow import _datasets
from flows.train_parameters import TrainParameters
from models.checkpoints import load
from tests.servers.workstation import environment

TRAIN = """
import json, sys
from flows.prefect_environment import prepare_prefect, wake_prefect

if __name__ == "__main__":
    prepare_prefect()
    wake_prefect()
    from prefect.client.orchestration import get_client
    from flows.train_flow import train_barrier_model
    from flows.train_parameters import TrainParameters

    found = train_barrier_model(TrainParameters.model_validate(json.loads(sys.argv[1])))
    with get_client(sync_client=True) as client:
        shown = {one["key"]: one for one in client.request("POST", "/artifacts/filter", json={}).json()}
        (run,) = client.read_flow_runs()
    print(json.dumps({"found": found, "shown": shown, "run": [run.name, run.state.type.value]}))
"""
TINY = {"members": 1, "epochs": 2, "trees": 10, "calibration_folds": 2, "calibration_members": 1}


@pytest.mark.slow
@pytest.mark.data
def test_it_trains_and_shows_what_came_of_it(tmp_path, devi2025_dir):
    asked = {
        "output": "made/checkpoint",
        "accelerator": "cpu",
        "data_dir": str(devi2025_dir.parent),
        "settings": TINY,
    }
    (tmp_path / "home").mkdir()
    (tmp_path / "made").mkdir()
    script = tmp_path / "train.py"
    script.write_text(TRAIN)
    done = subprocess.run(
        [sys.executable, str(script), json.dumps(asked)],
        capture_output=True, text=True, check=False, cwd=tmp_path, env=environment(tmp_path / "home"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["run"] == ["cnn on train of devi2025", "COMPLETED"]
    checkpoint = load(tmp_path / "made" / "checkpoint")
    assert checkpoint.digest == told["found"]["model_digest"]
    summary = told["shown"]["training-summary"]["data"]
    assert checkpoint.digest in summary
    assert "| MAE (eV) |" in summary
    n_networks = TINY["members"] + TINY["calibration_folds"] * TINY["calibration_members"]
    networks = told["shown"]["progress-training-networks"]["description"]
    assert networks == f"Training networks: {n_networks} of {n_networks}"
    assert (tmp_path / "made" / "checkpoint.logs").is_dir()


def test_own_data_sets_of_today_are_learned_from(tmp_path):
    for name in ("mine", "yours"):
        (tmp_path / "own" / name).mkdir(parents=True)
        (tmp_path / "own" / name / "dataset.json").write_text("{}")
    asked = TrainParameters(data_dir=str(tmp_path), datasets=("devi2025", "own-yours"))
    assert _datasets(asked) == ["devi2025", "own-yours"]
    assert _datasets(asked.model_copy(update={"own": True})) == ["devi2025", "own-yours", "own-mine"]
