"""The guide to Slurm, with an `sbatch` that starts the jobs at once, here; and what Slurm is asked for."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
import time

import duckdb
import pytest

from flows.settings import resolve, screen_parameters
from tests.deployments.guide import ROOT, Reader, blocks

SBATCH = """#!/bin/bash
id=$$
cp "$1" slurm-$id.part
shift
echo "$@" > slurm-$id.asked
export LIHOP_TESTS_JOB="$PWD/slurm-$id" PYTHONPATH="$PWD/witness"
setsid bash slurm-$id.part "$@" > slurm-$id.out 2>&1 < /dev/null &
echo $! > slurm-$id.pid
# Who looks for jobs sees one when all of it is there.
ln slurm-$id.part slurm-$id.sh
echo "Submitted batch job $id"
"""
SCANCEL = """#!/bin/bash
for id; do kill -TERM -- -$(cat slurm-$id.pid); done
"""
# What a job has computed batches by is a module that nothing else of a Dask worker imports.
WITNESS = """
import os, pathlib, sys

class Witness:
    def find_spec(self, name, path=None, target=None):
        if name == "tasks.workers":
            pathlib.Path(os.environ["LIHOP_TESTS_JOB"] + ".computed").touch()

sys.meta_path.insert(0, Witness())
"""
# A job of one core on the loopback network: the machine of a test is no cluster.
SMALL = {"--jobs 4 --cores 8 --memory 16GiB": "--jobs 1 --cores 1 --memory 2GiB --interface lo"}
USES = """
import os
from distributed import Client
with Client(os.environ["LIHOP_SCHEDULER"]) as client:
    elsewhere = client.submit(os.getppid).result(120) != os.getpid()
    print(os.environ["LIHOP_RUNNER"], os.environ["LIHOP_WORKERS"], elsewhere)
"""
INTRUDES = """
import asyncio, os, sys
from distributed import Client
async def intrude():
    try:
        async with asyncio.timeout(20):
            await Client(sys.argv[1], security=None, timeout=10, asynchronous=True)
    except (OSError, TimeoutError, TypeError, RuntimeError) as error:
        print("refused", type(error).__name__)
asyncio.run(intrude())
"""
PATIENCE_S = 180.0


def _cluster():
    """Return the module; nothing else of lihop imports it."""
    return importlib.import_module("deployments.slurm.cluster")


@pytest.fixture
def reader(tmp_path):
    with Reader(tmp_path, SMALL) as reader:
        reader.program("sbatch", SBATCH)
        reader.program("scancel", SCANCEL)
        (tmp_path / "home" / "witness").mkdir()
        (tmp_path / "home" / "witness" / "sitecustomize.py").write_text(WITNESS, encoding="utf-8")
        folder = tmp_path / "home" / "deployments" / "slurm"
        folder.mkdir(parents=True)
        for path in (ROOT / "deployments" / "slurm").iterdir():
            if path.suffix == ".sbatch":
                text = path.read_text(encoding="utf-8")
                for theirs, ours in SMALL.items():
                    assert theirs in text
                    text = text.replace(theirs, ours)
                (folder / path.name).write_text(text, encoding="utf-8")
        # The installed package, not the folder beside: as on a cluster.
        reader.settings = {"PYTHONSAFEPATH": "1"}
        yield reader
        for path in (tmp_path / "home").glob("slurm-*.pid"):
            subprocess.run(
                ["kill", "-KILL", "--", f"-{path.read_text().strip()}"], check=False, capture_output=True
            )


def _jobs(reader):
    """Return what the jobs were, what they said, and whether they run."""
    home = reader.root / "home"
    return {
        script.stem: (
            script.read_text(),
            script.with_suffix(".out").read_text(),
            _runs(script.with_suffix(".pid")),
        )
        for script in home.glob("slurm-*.sh")
    }


def _runs(pid):
    """Tell whether anything of a job is left, but for processes that nobody has asked how they ended."""
    rows = subprocess.run(
        ["ps", "-eo", "pid=,pgid=,stat="], capture_output=True, text=True, check=True
    ).stdout
    job = pid.read_text().strip()
    # Its first process has a group of its own from when `setsid` has made one.
    return any(
        job in {one, group} and not state.startswith("Z")
        for one, group, state in (row.split() for row in rows.splitlines())
    )


def _computed(reader):
    """Return the jobs of Dask workers that have computed a batch."""
    return {
        script.stem
        for script in (reader.root / "home").glob("slurm-*.sh")
        if "dask worker" in script.read_text() or "dask_worker" in script.read_text()
        if script.with_suffix(".computed").exists()
    }


def _until_over(reader):
    end = time.monotonic() + PATIENCE_S
    while any(runs for _, _, runs in _jobs(reader).values()):
        assert time.monotonic() < end, _jobs(reader)
        time.sleep(0.3)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_guide_does_what_it_says(reader):
    said, computed = {}, {}
    for block in blocks("slurm"):
        before = _computed(reader)
        said[block.section] = reader.follow(block)
        _until_over(reader)
        computed[block.section] = _computed(reader) - before
    script = said["The script of a job"]
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
    assert "#SBATCH -t 02:00:00" in script
    database = reader.root / "home" / "lihop.duckdb"
    with duckdb.connect(str(database), read_only=True) as connection:
        assert connection.execute("SELECT status, n_candidates FROM runs ORDER BY started_at").fetchall() == [
            ("completed", 2), ("completed", 3)
        ]  # fmt: skip
    assert "ref-lifebo3" in said["See that it works"]
    # Both screenings had their batches computed in the jobs that they asked for.
    assert [len(jobs) for section, jobs in computed.items() if jobs] == [1, 1], computed
    # Certificates were for one run.
    assert not list((reader.root / "home").glob(".lihop-dask-*"))


@pytest.mark.slow
def test_a_job_computes_for_who_has_the_certificate(reader):
    """And for nobody else: the scheduler is asked by another while it is there."""
    home = reader.root / "home"
    (home / "uses.py").write_text(USES)
    (home / "intrudes.py").write_text(INTRUDES)
    tls = "DASK_DISTRIBUTED__COMM__TLS__"
    hidden = (
        f"{tls}CA_FILE",
        f"{tls}CLIENT__CERT",
        f"{tls}CLIENT__KEY",
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION",
    )
    plain = f"env {' '.join(f'-u {name}' for name in hidden)} python intrudes.py"
    by_tcp = '"tcp://${LIHOP_SCHEDULER#tls://}"'
    command = f'python uses.py && {plain} "$LIHOP_SCHEDULER" && {plain} {by_tcp}'
    done = subprocess.run(
        [sys.executable, "-m", "deployments.slurm.cluster", "--jobs", "1", "--cores", "1", "--memory", "2GiB",
         "--walltime", "00:10:00", "--interface", "lo", "--", "bash", "-c", command],
        env=reader.environment(), cwd=home, capture_output=True, text=True, check=False, timeout=PATIENCE_S,
    )  # fmt: skip
    assert done.returncode == 0, (done.stderr, _jobs(reader))
    worked, *refused = done.stdout.splitlines()
    assert worked == "dask 1 True"
    assert [line.split()[0] for line in refused] == ["refused", "refused"]
    ((script, _, _),) = _jobs(reader).values()
    assert "--tls-key" in script
    _until_over(reader)


def test_the_exit_code_is_that_of_the_command(tmp_path, monkeypatch):
    cluster = _cluster()
    assert cluster._run([sys.executable, "-c", "raise SystemExit(7)"], {}) == 7


def test_what_slurm_is_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cluster = _cluster()
    asked = "--jobs 2 --cores 4 --memory 8GiB --walltime 01:30:00 --queue short --account me --interface lo"
    assert cluster.main([*asked.split(), "--directive=--constraint=icelake", "--show"]) == 0
    script = capsys.readouterr().out
    for line in (
        "-J lihop",
        "-p short",
        "-A me",
        "--cpus-per-task=4",
        "--mem=8G",
        "-t 01:30:00",
        "--constraint=icelake",
    ):
        assert f"#SBATCH {line}\n" in script
    assert "export OMP_NUM_THREADS=1" in script
    assert "--nworkers 4" in script
    assert "BEGIN" not in script  # certificates are files, not arguments


@pytest.mark.parametrize(
    ("asked", "told"),
    [("--jobs 0 --cores 1 --memory 1GiB --walltime 1 -- true", "at least 1"),
     ("--jobs 1 --cores 1 --memory 1GiB --walltime 1", "give a command after --"),
     ("--jobs 1 --cores 1 --memory 1GiB --walltime 1 --show -- true", "give a command after --")],
)  # fmt: skip
def test_what_cannot_be_is_refused(asked, told, capsys):
    with pytest.raises(SystemExit) as refused:
        _cluster().parse(asked.split())
    assert refused.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(("processes", "own", "workers"), [(32, None, 32), (1000, None, 256), (32, "5", 5)])
def test_every_core_that_is_paid_for_gets_batches(tmp_path, monkeypatch, processes, own, workers):
    if own is not None:
        monkeypatch.setenv("LIHOP_WORKERS", own)
    told = _cluster().environment("tls://127.0.0.1:1", tmp_path, processes)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    parameters = screen_parameters(resolve({}))
    assert (parameters.workers, parameters.runner, parameters.scheduler) == (
        workers,
        "dask",
        "tls://127.0.0.1:1",
    )


def test_without_slurm_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    asked = "--jobs 1 --cores 1 --memory 1GiB --walltime 1 -- true"
    assert _cluster().main(asked.split()) == 2
    assert "sbatch is not on the path" in capsys.readouterr().err


def test_the_job_is_a_script_that_bash_takes():
    path = ROOT / "deployments" / "slurm" / "screen.sbatch"
    assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0
