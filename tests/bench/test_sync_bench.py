"""The bench `sync`: both sides find all documents, and it says what it needs where the tests are not."""

from __future__ import annotations

import os

import pytest

from flows.bench import sync
from flows.bench.measure import BenchError, BenchSettings
from flows.bench.registry import BENCHES, run_bench
from tests.servers.materials_project import World


def test_both_sides_find_the_same_documents(monkeypatch):
    monkeypatch.setattr(sync, "FEATURIZED", 1)
    before = dict(os.environ)
    found = run_bench("sync", BenchSettings(limit=30, repeats=1)).as_dict()
    world = World(materials=30)
    expected = [f for f in world.members("summary") if f.ion == "Li" and not f.deprecated and not f.gnome]
    assert (found["name"], found["unit"], found["counts_equal"]) == ("sync", "documents/s", True)
    assert found["details"]["documents"] == len(expected)
    assert found["details"]["featurized materials/s on one core"] > 0
    assert found["details"]["synced documents"] == len(expected)
    assert found["details"]["peak memory of that sync (MB)"] > 10
    assert found["peers"].keys() == {"MPRester.search"}
    assert found["ours_median"] > 0
    assert dict(os.environ) == before


def test_without_the_tests_it_says_where_to_run(monkeypatch, tmp_path):
    monkeypatch.setattr(sync, "__file__", str(tmp_path / "flows" / "bench" / "sync.py"))
    with pytest.raises(BenchError, match="from a clone"):
        run_bench("sync", BenchSettings(limit=2))
    assert "sync" in BENCHES
