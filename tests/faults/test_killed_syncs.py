"""Screenings of a remote database that are killed: the next goes on, and no row differs in the end."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flows.campaign import run_campaign, screen
from storage import queries
from tests.campaigns import TABLES, Bench, RecordingSteps, assert_same, tables
from tests.dying import EVERYWHERE, RECORDING, SYNCING, Points
from tests.servers.materials_project import KEY, World, serving

ROOT = Path(__file__).resolve().parents[2]
SYNCED = ("source_entries", "source_members")
KILLS = 3
DOCUMENTS = 3000
"""So many summaries that two thousand of them are of lithium, in use, and have an electrode."""


@pytest.fixture
def server(monkeypatch, request):
    with serving(World(materials=request.param, max_sites=8, seed=1)) as server:
        monkeypatch.setenv("LIHOP_MP_ENDPOINT", server.endpoint)
        monkeypatch.setenv("LIHOP_MP_API_KEY", KEY)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield server


def asked(bench: Bench, **changes):
    given = {"source": "mp", "path": None, "mp": {"e_above_hull_max_ev": None}, "batch_size": 4}
    return bench.parameters(**(given | changes))


def killed(parameters, last: int, calls: tuple[str, ...] = EVERYWHERE) -> None:
    """Screen in a process of its own that kills itself at a point."""
    command = [sys.executable, "-m", "tests.dying", parameters.model_dump_json(), str(last), *calls]
    died = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL, died.stderr


def check(bench: Bench, undisturbed: Bench, server) -> None:
    found, expected = (tables(one.database, (*TABLES, *SYNCED)) for one in (bench, undisturbed))
    assert_same(found, expected)
    syncs = [row["status"] for row in queries.sql(bench.database, "FROM syncs").records()]
    assert syncs.count("completed") == 1
    assert "running" not in syncs
    n_electrodes = sum(
        facts.ion == "Li" and not facts.deprecated for facts in server.world.members("electrode")
    )
    assert len(found["source_entries"]) == n_electrodes > 0
    assert len(found["candidates"]) > 0


@pytest.mark.parametrize(
    ("server", "seed"), [(8, 0), pytest.param(12, 1, marks=pytest.mark.slow)], indirect=["server"]
)
def test_what_is_killed_thrice_ends_as_what_was_not_disturbed(
    tmp_path, checkpoint, bench, server, seed, monkeypatch
):
    (tmp_path / "undisturbed").mkdir()
    undisturbed = Bench(tmp_path / "undisturbed", checkpoint)
    with monkeypatch.context() as patched:
        points = Points().watch(patched.setattr)
        run_campaign(asked(undisturbed), RecordingSteps())
    dice = random.Random(seed)
    for _ in range(KILLS):
        # What is done need not be done again, so that each attempt has fewer points than the one before.
        killed(asked(bench), dice.randrange(1, points.seen // (KILLS + 1)))
    run_campaign(asked(bench), RecordingSteps())
    check(bench, undisturbed, server)


@pytest.mark.slow
@pytest.mark.matrix
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("server", [DOCUMENTS], indirect=True)
def test_two_thousand_materials_over_a_pool_end_alike_however_often_they_are_killed(
    tmp_path, checkpoint, bench, server, monkeypatch
):
    """Once while they are fetched, and twice while they are screened, the pool's processes with the run."""
    # Straight paths: what is asked here is whether each row is there once, and not what it took to compute.
    changes = {"batch_size": 16, "workers": 2, "paths": "straight"}
    (tmp_path / "undisturbed").mkdir()
    undisturbed = Bench(tmp_path / "undisturbed", checkpoint)
    with monkeypatch.context() as patched:
        points = Points().watch(patched.setattr).by_call
        done = screen(asked(undisturbed, **changes))
    assert done.n_candidates >= 2000
    n_syncing, n_recording = (sum(points[name] for name in calls) for calls in (SYNCING, RECORDING))
    dice = random.Random(2)
    again = asked(bench, **changes)
    killed(again, dice.randrange(1, n_syncing), SYNCING)
    killed(again, dice.randrange(1, n_recording // 3), RECORDING)
    killed(again, dice.randrange(n_recording // 3, n_recording * 3 // 5), RECORDING)
    screen(again)
    check(bench, undisturbed, server)
