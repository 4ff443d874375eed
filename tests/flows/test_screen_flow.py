"""The Prefect flow on an ephemeral API: the same tables as the plain run, and its whole history."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from flows.parameters import ScreenParameters
from flows.run_names import run_name
from tests.campaigns import GOOD, Bench, assert_same, tables, write_bad, write_good

if TYPE_CHECKING:
    from pathlib import Path

ASK = """
import json, sys
from flows.prefect_environment import prepare_prefect, wake_prefect
prepare_prefect()
wake_prefect()
from prefect.client.orchestration import get_client
from prefect.client.schemas.sorting import FlowRunSort, TaskRunSort
with get_client(sync_client=True) as client:
    flows = client.read_flow_runs(limit=50, sort=FlowRunSort.START_TIME_DESC)
    tasks = client.read_task_runs(limit=200, sort=TaskRunSort.ID_DESC)
    artifacts = client.request("POST", "/artifacts/filter", json={}).json()
    logs = client.request("POST", "/logs/filter", json={"limit": 200}).json()
print(json.dumps({
    "flows": [[run.name, run.state.type.value] for run in flows],
    "parameters": flows[0].parameters,
    "tasks": [[run.name, run.state.type.value] for run in tasks],
    "artifacts": {artifact["key"]: artifact["data"] for artifact in artifacts},
    "texts": {artifact["key"]: artifact["description"] for artifact in artifacts},
    "logs": [[line["level"], line["message"]] for line in logs if line["flow_run_id"] is not None],
}))
"""


def environment(home: Path) -> dict[str, str]:
    # Nothing of the runner's own Prefect settings may leak in: a profile could point at a real server.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "LIHOP_"))}
    return kept | {"PREFECT_HOME": str(home), "OMP_NUM_THREADS": "1"}


def run(home: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=environment(home),
        cwd=home,
    )


@pytest.fixture(scope="module")
def flow_run(tmp_path_factory, checkpoint):
    """A screening by the command line as users run it, in a home of its own."""
    root = tmp_path_factory.mktemp("flow")
    home = root / "home"
    home.mkdir()
    bench = Bench(root, checkpoint)
    write_good(bench.folder)
    bench.expected = write_bad(bench.folder)
    done = run(
        home, "-m", "flows.cli.main", "screen", "--path", bench.folder, "--model", checkpoint, "--database",
        bench.database, "--batch-size", "2", "--max-file-mb", "0.2", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    asked = run(home, "-c", ASK)
    assert asked.returncode == 0, asked.stderr
    return bench, done, json.loads(asked.stdout)


def test_nothing_but_the_result_is_printed(flow_run):
    _, done, _ = flow_run
    assert json.loads(done.stdout)["n_with_result"] == len(GOOD)
    assert done.stderr == ""


def test_the_history_is_whole(flow_run):
    bench, _, history = flow_run
    n_items = len(GOOD) + len(bench.expected)
    # Two structures have no hop to describe, yet they are candidates.
    n_batches = -(-(len(GOOD) + 2) // 2)
    names = [name for name, _ in history["tasks"]]
    assert sum(name.startswith("read ") for name in names) == -(-n_items // 2)
    assert sum(name.startswith("featurize ") for name in names) == n_batches
    n_predicted = names.count("predict")
    assert len(GOOD) / 2 <= n_predicted <= n_batches
    assert sum(name.startswith("percolate ") for name in names) == n_predicted
    assert {state for _, state in history["tasks"]} == {"COMPLETED"}
    asked = ScreenParameters(source="files", path=str(bench.folder))
    assert history["flows"] == [[run_name(asked), "COMPLETED"]]


def test_the_parameters_are_those_of_the_form(flow_run):
    bench, _, history = flow_run
    given = history["parameters"]["parameters"]
    assert given["path"] == str(bench.folder)
    assert given["batch_size"] == 2


def test_the_artifacts_show_the_result(flow_run):
    _, done, history = flow_run
    summary = json.loads(done.stdout)
    assert summary["run_id"] in history["artifacts"]["screening-summary"]
    table = history["artifacts"]["ranking"]
    rows = json.loads(table) if isinstance(table, str) else table
    ranked = [row["material_id"] for row in rows if row["rank"] is not None]
    assert set(ranked) == set(GOOD)
    assert "data:image/png;base64," in history["artifacts"]["screening-summary"]
    table = history["artifacts"]["failures"]
    rows = json.loads(table) if isinstance(table, str) else table
    assert {row["reason"]: row["count"] for row in rows} == summary["failures"]


def test_progress_ends_where_the_work_did(flow_run):
    bench, _, history = flow_run
    n_items = len(GOOD) + len(bench.expected)
    assert history["texts"]["progress-reading"] == f"Reading: {n_items} of {n_items} materials"
    for stage in ("hops-and-descriptors", "barriers", "percolation"):
        assert float(history["artifacts"][f"progress-{stage}"]) == 100.0


def test_its_log_tells_what_came_of_it_and_has_nothing_to_worry_about(flow_run):
    _, done, history = flow_run
    summary = json.loads(done.stdout)
    assert any(summary["run_id"] in message for _, message in history["logs"])
    assert {level for level, _ in history["logs"]} == {20}


def test_the_tables_are_those_of_the_plain_run(flow_run, tmp_path, checkpoint):
    bench, _, _ = flow_run
    plain = Bench(tmp_path, checkpoint)
    plain.folder = bench.folder
    summary = plain.screen(batch_size=2, max_file_mb=0.2)
    assert plain.reasons() == bench.expected
    assert_same(tables(bench.database), plain.tables())
    assert summary.n_with_result == len(GOOD)


@pytest.mark.slow
def test_an_expected_error_is_one_message(flow_run):
    bench, _, _ = flow_run
    home = bench.folder.parent / "home"
    done = run(home, "-m", "flows.cli.main", "screen", "--path", "nowhere", "--model", bench.checkpoint)
    assert done.returncode == 2
    assert done.stdout == ""
    assert [line for line in done.stderr.splitlines() if "Traceback" in line] == []
    assert "lihop: --path nowhere: no such file or folder" in done.stderr
