"""What a sync of many entries shows and takes: bars that move, and memory that hardly grows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from flows.parameters import SyncParameters
from flows.progress import bars
from flows.sync import sync
from tests.remotes import Memory, entry
from tests.servers.materials_project import KEY, World, serving

ROOT = Path(__file__).resolve().parents[2]
FEW, MANY = 3_000, 29_700
"""Summary documents, of which about two in three are of lithium and in use."""

MOST_GROWTH_MB = 150.0
ASKED = {"kind": "materials", "elements": ["Li"], "e_above_hull_max_ev": None, "max_sites": None}


def test_the_bars_count_what_is_listed_and_what_is_fetched(tmp_path, capsys):
    remote = Memory({f"mp-{n}": entry(f"mp-{n}") for n in range(7)})
    with bars("entries"):
        found = sync(SyncParameters(database=str(tmp_path / "x.duckdb")), remote)
    assert found.n_total == 7
    lines = [line.split() for line in capsys.readouterr().err.splitlines() if "7/7" in line]
    assert {line[0] for line in lines} == {"index", "fetching"}
    assert all("entries" in line for line in lines)


def synced(world: World, database: Path, monkeypatch) -> dict[str, float]:
    """Sync in a process of its own; return how many entries there are, and its peak memory."""
    with serving(world) as server:
        monkeypatch.setenv("LIHOP_MP_ENDPOINT", server.endpoint)
        monkeypatch.setenv("LIHOP_MP_API_KEY", KEY)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        asked = SyncParameters(source="mp", database=str(database), mp=ASKED)
        command = [sys.executable, "-m", "flows.bench.peak", asked.model_dump_json()]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_thousand_documents_take_little_more_memory_than_two_thousand(tmp_path, monkeypatch):
    few = synced(World(materials=FEW), tmp_path / "few.duckdb", monkeypatch)
    many = synced(World(materials=MANY), tmp_path / "many.duckdb", monkeypatch)
    assert few["n_total"] >= 2_000
    assert many["n_total"] >= 20_000
    assert many["peak_mb"] < few["peak_mb"] + MOST_GROWTH_MB
