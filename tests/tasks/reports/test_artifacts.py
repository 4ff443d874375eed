"""What a run shows in the Prefect UI."""

from __future__ import annotations

import json

from tasks.reports.artifacts import RANKING_COLUMNS, ranking_table, summary_markdown

SUMMARY = {
    "run_id": "r1",
    "database": "lihop.duckdb",
    "n_items": 9,
    "n_candidates": 7,
    "n_computed": 4,
    "n_reused": 3,
    "n_with_result": 6,
    "failures": {"duplicate": 1, "time_limit": 2},
}


def test_the_ranking_has_its_columns_rounded():
    (row,) = ranking_table([{"rank": 1, "barrier_at_dim_ev": 0.123456, "in_domain": True, "other": 1}])
    assert tuple(row) == RANKING_COLUMNS
    assert (row["rank"], row["barrier_at_dim_ev"], row["in_domain"]) == (1, 0.123, True)
    assert row["capacity_mah_g"] is None
    assert json.loads(json.dumps(row)) == row


def test_the_summary_counts_and_lists_reasons():
    text = summary_markdown(SUMMARY)
    assert "# Screening r1" in text
    assert "7 materials of 9 source items; 4 computed, 3 known already; 6 with a percolation result" in text
    assert "| duplicate | 1 |" in text
    assert "| time_limit | 2 |" in text


def test_without_failures_there_is_no_table_of_them():
    assert "|" not in summary_markdown(SUMMARY | {"failures": {}})
