"""What a run shows in the Prefect UI."""

from __future__ import annotations

import base64
import io
import json

import pytest
from matplotlib.image import imread

from storage.records import Reason
from tasks.reports.artifacts import (
    MESSAGE_CHARACTERS,
    failure_table,
    ranking_table,
    summary_markdown,
    unfinished_markdown,
)
from tasks.reports.drawing import blank, data_uri
from tasks.reports.errors import FigureError
from tasks.reports.remedies import REMEDIES, remedy
from tasks.reports.spread_figure import spread_figure

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
RANKED = {
    "rank": 1,
    "formula": "LiFePO4",
    "barrier_at_dim_ev": 0.123456,
    "lower_ev": 0.05,
    "upper_ev": 0.3456,
    "percolation_dim": 1,
    "direction_conventional": "[010]",
    "in_domain": True,
    "capacity_mah_g": 169.9,
    "material_id": "m1",
    "reason": None,
    "other": 1,
}
FAILURE = {
    "reason": "time_limit",
    "n_failures": 2,
    "example_ids": "m2, m3",
    "example_message": "m2: took longer than 1 s\nin `hops` | *all* of it",
}


def test_the_ranking_is_rounded_and_named_for_people():
    (row,) = ranking_table([RANKED])
    assert row == {
        "rank": 1, "formula": "LiFePO4", "barrier (eV)": 0.123, "90% interval": "0.05 to 0.35",
        "percolates": "1-D [010]", "in domain": "yes", "mAh/g": 170, "material_id": "m1",
    }  # fmt: skip
    assert json.loads(json.dumps(row)) == row


def test_the_ranking_says_why_there_is_no_barrier():
    unknown = dict.fromkeys(RANKED) | {"formula": "LiBr", "material_id": "m2", "reason": "no_hops"}
    (row,) = ranking_table([unknown])
    assert row["percolates"] == "no hops"
    assert row["90% interval"] == row["in domain"] == ""
    assert row["rank"] is row["barrier (eV)"] is row["mAh/g"] is None


def test_an_isotropic_conductor_has_no_direction():
    (row,) = ranking_table([RANKED | {"percolation_dim": 3, "direction_conventional": "isotropic"}])
    assert row["percolates"] == "3-D"


def test_the_summary_counts_and_lists_reasons_with_what_to_do():
    text = summary_markdown(SUMMARY, [FAILURE], {"Barriers": "data:image/png;base64,AAAA"})
    assert "# Screening r1" in text
    assert "7 materials of 9 source items; 4 computed, 3 known already; 6 with a percolation result" in text
    assert "![Barriers](data:image/png;base64,AAAA)" in text
    (line,) = [line for line in text.splitlines() if "took longer" in line]
    assert line.startswith(rf"| time\_limit | 2 | {remedy('time_limit').replace('_', chr(92) + '_')} |")
    assert r"in \`hops\` \| \*all\* of it |" in line


def test_without_failures_there_is_no_table_of_them():
    assert "|" not in summary_markdown(SUMMARY)


def test_a_citation_and_what_was_not_found_are_told():
    text = summary_markdown(SUMMARY | {"citation": "Jain 2013", "not_found": ("mp-1", "mp-2")})
    assert "Cite: Jain 2013" in text
    assert "not found: mp-1, mp-2" in text


def test_what_did_not_finish_says_so():
    text = unfinished_markdown("r1", "lihop.duckdb", "the source is away", 3, [FAILURE])
    assert "# Screening r1: not finished" in text
    assert "the source is away" in text
    assert "3 materials have a barrier so far. Retry" in text
    assert "took longer" in text


def test_failures_are_a_row_a_reason_and_say_what_to_do():
    (row,) = failure_table([FAILURE | {"example_message": "long " * 200}])
    assert (row["reason"], row["count"], row["examples"]) == ("time_limit", 2, "m2, m3")
    assert "Raise the time limit" in row["what to do"]
    assert len(row["message of the first"]) <= MESSAGE_CHARACTERS
    assert failure_table([FAILURE | {"example_message": None}])[0]["message of the first"] is None


def test_there_is_something_to_do_about_every_reason():
    assert REMEDIES.keys() == set(Reason)
    assert remedy("of another version") == ""


def test_a_figure_is_embedded_whole():
    figure, _ = blank(3, 2)
    address = data_uri(figure, dots_an_inch=50)
    head, content = address.split(",")
    assert head == "data:image/png;base64"
    assert imread(io.BytesIO(base64.b64decode(content))).shape[:2] == (100, 150)
    assert data_uri(figure, dots_an_inch=50) == address


@pytest.mark.parametrize("n_materials", [1, 3, 500])
def test_every_barrier_is_in_a_bar(n_materials):
    barriers = [(0.1 + 0.003 * k, 1 + k % 3) for k in range(n_materials)]
    figure = spread_figure(barriers)
    (axes,) = figure.axes
    assert sum(bar.get_height() for bar in axes.patches) == n_materials
    assert len(axes.get_legend().get_texts()) == min(n_materials, 3)
    assert f"{n_materials} materials" in axes.get_title(loc="left")


def test_without_a_barrier_there_is_nothing_to_spread():
    with pytest.raises(FigureError, match="none of 1 barriers"):
        spread_figure([(0.0, 1)])
