"""What a bound cuts off is a row with its reason, and is computed when the bound is raised."""

from __future__ import annotations

import json
import signal

import pytest

from flows.parameters import ScreenParameters
from storage import queries
from tasks import featurizing
from tasks.candidates import files_reading
from tests.campaigns import GOOD, write_good

LONG_S = 600.0


def test_limit_lists_what_it_left_out(bench):
    write_good(bench.folder)
    summary = bench.screen(limit=2)
    kept = sorted(GOOD)[:2]
    assert {name for name, row in bench.rankings().items() if row["barrier_at_dim_ev"] is not None} == set(
        kept
    )
    assert bench.reasons() == dict.fromkeys(sorted(GOOD)[2:], "limit")
    assert summary.n_items == len(GOOD) == summary.n_with_result + sum(summary.failures.values())
    for row in queries.failures(bench.database, reason="limit"):
        assert "--limit 2" in row["message"]
    rest = bench.screen()
    assert (rest.n_computed, rest.n_reused, rest.failures) == (len(GOOD) - 2, 2, {})
    assert bench.reasons() == {}
    assert bench.tables()["failures"] == []


def test_limit_counts_source_items_and_materials(bench):
    """A file of two structures is one item: with the limit of 1 it is read, and one of its two screened."""
    both = [GOOD["lif.cif"].as_dict(), GOOD["li2o.cif"].as_dict()]
    (bench.folder / "a.json").write_text(json.dumps(both), encoding="utf-8")
    write_good(bench.folder, ("licoo2.cif",))
    assert bench.screen(limit=1).n_with_result == 1
    assert bench.reasons() == {"a.json#2": "limit", "licoo2.cif": "limit"}
    bench.screen(limit=2)
    assert [row["material_id"] for row in bench.tables()["failures"]] == ["licoo2.cif"]
    bench.screen()
    assert bench.tables()["failures"] == []
    said = ScreenParameters.model_fields["limit"].description
    assert "at most this many source items (files, entries) and screen at most as many materials" in said


def test_max_sites(bench):
    write_good(bench.folder)
    summary = bench.screen(max_sites=3)
    assert bench.reasons() == {"licoo2.cif": "too_many_sites"}
    (row,) = queries.failures(bench.database)
    assert "4 sites, allowed are 3; raise --max-sites" in row["message"]
    assert summary.n_with_result == len(GOOD) - 1
    assert bench.screen(max_sites=4).failures == {}


def test_max_hops(bench):
    write_good(bench.folder, ("lif.cif", "li2o.cif"))
    summary = bench.screen(max_hops=1, cutoff_ang=6.0)
    assert bench.reasons() == {"lif.cif": "too_many_hops", "li2o.cif": "too_many_hops"}
    assert summary.n_with_result == 0
    assert bench.rankings()["lif.cif"]["reason"] == "too_many_hops"
    assert bench.screen(max_hops=400, cutoff_ang=6.0).n_with_result == 2


def out_of_time(*_args):
    """Behave as if the limit had been reached in the middle of this call."""
    signal.raise_signal(signal.SIGALRM)


@pytest.fixture
def slow_fluorides(monkeypatch):
    real = featurizing.describe
    monkeypatch.setattr(
        featurizing, "describe", lambda env: out_of_time() if env.composition.get("F") else real(env)
    )
    return monkeypatch


def test_time_limit_of_a_material_costs_no_other(bench, slow_fluorides):
    write_good(bench.folder)
    summary = bench.screen(time_limit_s=LONG_S)
    assert bench.reasons() == {"lif.cif": "time_limit"}
    assert summary.n_with_result == len(GOOD) - 1
    (row,) = queries.failures(bench.database)
    assert (row["stage"], row["traceback"]) == ("hops", None)
    assert "took longer than 600 s; raise --time-limit" in row["message"]
    assert bench.rankings()["lif.cif"]["reason"] == "time_limit"


def test_a_failure_stands_until_it_is_retried(bench, slow_fluorides):
    write_good(bench.folder)
    bench.screen(time_limit_s=LONG_S)
    slow_fluorides.undo()
    again = bench.screen(time_limit_s=2 * LONG_S)
    assert (again.n_computed, again.failures) == (0, {"time_limit": 1})
    other = bench.screen(time_limit_s=2 * LONG_S, retry=("worker_lost",))
    assert (other.n_computed, other.failures) == (0, {"time_limit": 1})
    retried = bench.screen(time_limit_s=2 * LONG_S, retry=("time_limit",))
    assert (retried.n_computed, retried.n_reused, retried.failures) == (1, len(GOOD) - 1, {})
    assert bench.rankings()["lif.cif"]["barrier_at_dim_ev"] is not None
    assert queries.failures(bench.database) == []


def test_what_fails_again_when_retried_stays_a_failure(bench, slow_fluorides):
    write_good(bench.folder, ("lif.cif", "li2o.cif"))
    bench.screen(time_limit_s=LONG_S)
    before = bench.tables()["failures"]
    again = bench.screen(time_limit_s=LONG_S, retry=("time_limit",))
    assert (again.n_computed, again.failures) == (1, {"time_limit": 1})
    assert bench.tables()["failures"] == before


def test_time_limit_while_reading(bench, monkeypatch):
    real = files_reading._read_file
    monkeypatch.setattr(
        files_reading,
        "_read_file",
        lambda place, item, most: out_of_time() if item.item_id == "lif.cif" else real(place, item, most),
    )
    write_good(bench.folder, ("lif.cif", "li2o.cif"))
    summary = bench.screen(time_limit_s=LONG_S)
    assert bench.reasons() == {"lif.cif": "time_limit"}
    assert summary.n_with_result == 1
    monkeypatch.undo()
    retried = bench.screen(retry=("time_limit",))
    assert (retried.n_computed, retried.n_with_result, retried.failures) == (1, 2, {})


def test_a_larger_file_limit_reads_the_file(bench):
    write_good(bench.folder, ("lif.cif", "li2o.cif"))
    with (bench.folder / "lif.cif").open("a", encoding="utf-8") as file:
        file.write("# padding\n" * 2_000)
    assert bench.screen(max_file_mb=0.015).failures == {"file_too_large": 1}
    assert bench.screen(max_file_mb=0.1).failures == {}
