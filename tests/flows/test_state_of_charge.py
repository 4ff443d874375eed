"""Screenings by state of charge: a row a state, neither taken for the other, each found again."""

from __future__ import annotations

import json

import pytest

from flows.estimate import estimate_screen
from storage import queries
from tests.campaigns import write_bad, write_good

LAYERED = "licoo2.cif"


def rows_by_state(bench) -> dict[tuple[str, str], dict]:
    return {(row["material_id"], row["state"]): row for row in queries.rankings(bench.database)}


def test_both_states_are_two_rows(bench):
    write_good(bench.folder, ("lif.cif", "li2o.cif"))
    summary = bench.screen(state="both")
    ranked = rows_by_state(bench)
    assert set(ranked) == {
        (name, state) for name in ("lif.cif", "li2o.cif") for state in ("charged", "discharged")
    }
    assert (summary.n_items, summary.n_candidates, summary.n_with_result) == (2, 4, 4)
    before, after = ranked["li2o.cif", "discharged"], ranked["li2o.cif", "charged"]
    assert before["structure_hash"] != after["structure_hash"]
    assert before["barrier_at_dim_ev"] != after["barrier_at_dim_ev"]
    assert before["all_ids"] == after["all_ids"] == "li2o.cif"
    hops = {
        state: queries.hops_of(bench.database, ranked["li2o.cif", state]["structure_hash"])
        for state in ("discharged", "charged")
    }
    paths = {
        state: [(hop["i"], hop["j"], hop["ox"], hop["oy"], hop["oz"]) for hop in some if not hop["vacancy"]]
        for state, some in hops.items()
    }
    assert paths["discharged"] == paths["charged"]
    assert {hop["mechanism"] for hop in hops["charged"]} == {"isolated"}
    barriers = [{hop["bvse_barrier_ev"] for hop in some} for some in hops.values()]
    assert not barriers[0] & barriers[1]


def test_a_state_is_computed_once_whichever_run_asks_for_it(bench):
    write_good(bench.folder, ("lif.cif",))
    bench.screen()
    before = bench.tables()
    charged = bench.screen(state="charged")
    assert (charged.n_candidates, charged.n_computed) == (1, 1)
    both = bench.screen(state="both")
    assert (both.n_candidates, both.n_computed, both.n_reused) == (2, 0, 2)
    assert bench.steps.ran == []
    again = bench.screen()
    assert (again.n_computed, bench.steps.ran) == (0, [])
    after = bench.tables()
    for table in ("hops", "predictions", "percolation"):
        old = {json.dumps(row, sort_keys=True, default=str) for row in before[table]}
        assert old < {json.dumps(row, sort_keys=True, default=str) for row in after[table]}


def test_a_charged_screening_ranks_nothing_else(bench):
    write_good(bench.folder, ("lif.cif",))
    bench.screen(state="charged")
    assert set(rows_by_state(bench)) == {("lif.cif", "charged")}


def test_what_cannot_be_screened_is_told_once(bench):
    write_good(bench.folder, ("lif.cif",))
    expected = write_bad(bench.folder)
    summary = bench.screen(state="both", max_file_mb=0.2)
    assert bench.reasons() == expected
    of_cleaning = [reason for reason in expected.values() if reason != "no_hops"]
    # Two files have no hops in either state, and each state says so.
    assert sum(summary.failures.values()) == len(of_cleaning) + 2 * 2
    assert summary.failures["duplicate"] == 1


@pytest.mark.slow
def test_an_estimate_counts_the_hops_of_both_states(bench):
    write_good(bench.folder, (LAYERED,))
    counts = {
        state: estimate_screen(bench.parameters(state=state)).n_hops
        for state in ("discharged", "charged", "both")
    }
    assert counts["both"] == counts["discharged"] + counts["charged"]
    # Pairs of vacancies make no difference where everything is vacant.
    assert 0 < counts["charged"] < counts["discharged"]


@pytest.mark.parametrize("changed", [{"max_sites": 299}, {"symprec_ang": 0.02}, {"order_disorder": True}])
def test_going_back_to_earlier_settings_loses_no_candidate(bench, changed):
    write_good(bench.folder, ("lif.cif",))
    first = bench.screen()
    other = bench.screen(**changed)
    back = bench.screen()
    assert first.n_with_result == other.n_with_result == back.n_with_result == 1
    assert back.n_computed == 0
