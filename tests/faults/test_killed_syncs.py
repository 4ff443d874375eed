"""Screenings of a remote database that are killed: the next goes on, and no row differs in the end."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flows.campaign import run_campaign
from storage import queries
from tests.campaigns import TABLES, Bench, RecordingSteps, assert_same, tables
from tests.dying import Points
from tests.servers.materials_project import KEY, World, serving

ROOT = Path(__file__).resolve().parents[2]
SYNCED = ("source_entries", "source_members")
KILLS = 3


@pytest.fixture
def server(monkeypatch, request):
    with serving(World(materials=request.param, max_sites=8, seed=1)) as server:
        monkeypatch.setenv("LIHOP_MP_ENDPOINT", server.endpoint)
        monkeypatch.setenv("LIHOP_MP_API_KEY", KEY)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield server


def asked(bench: Bench, limit):
    query = {"e_above_hull_max_ev": None}
    return bench.parameters(source="mp", path=None, mp=query, batch_size=4, limit=limit)


def killed(bench: Bench, limit, last: int) -> None:
    """Screen in a process of its own that kills itself at a point."""
    command = [sys.executable, "-m", "tests.dying", asked(bench, limit).model_dump_json(), str(last)]
    died = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL, died.stderr


@pytest.mark.parametrize(
    ("server", "limit", "seed"),
    [
        (8, None, 0),
        pytest.param(12, None, 1, marks=pytest.mark.slow),
        pytest.param(2000, 40, 2, marks=pytest.mark.slow),
    ],
    indirect=["server"],
)
def test_what_is_killed_thrice_ends_as_what_was_not_disturbed(
    tmp_path, checkpoint, bench, server, limit, seed, monkeypatch
):
    (tmp_path / "undisturbed").mkdir()
    undisturbed = Bench(tmp_path / "undisturbed", checkpoint)
    with monkeypatch.context() as patched:
        points = Points().watch(patched.setattr)
        run_campaign(asked(undisturbed, limit), RecordingSteps())
    dice = random.Random(seed)
    for _ in range(KILLS):
        # What is done need not be done again, so that each attempt has fewer points than the one before.
        killed(bench, limit, dice.randrange(1, points.seen // (KILLS + 1)))
    run_campaign(asked(bench, limit), RecordingSteps())
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
