"""What the long benches said is kept in docs/bench, and holds what is said of it."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

import pytest

RECORDS = Path(__file__).parents[2] / "docs" / "bench"
WITHIN = 1.25
"""How far the memory of a screening goes up and down: what is let go of is given back now and then."""

PAIRS, OVERHEAD_PERCENT, RERUN_SPEEDUP = 5, 5.0, 50.0
"""What is promised of the flow beside the same functions in a plain pool of processes."""


def _told(name, materials):
    """Return the details of a bench that screened so many materials, each with a result."""
    told = json.loads((RECORDS / name).read_text(encoding="utf-8"))
    details = told["details"]
    assert told["counts_equal"]
    assert details["materials"] == details["with_result"] == materials
    return details


def test_memory_does_not_grow_with_the_number_of_materials():
    tenths = _told("memory.json", 20_000)["own_memory_mb_by_tenths_featurized"]
    assert len(tenths) == 10
    assert max(tenths) < WITHIN * min(tenths)


def test_a_flow_costs_little_and_what_is_unchanged_is_not_computed_again():
    details = _told("orchestration.json", 2_000)
    pairs = details["overhead_percent_of_each_pair"]
    assert len(pairs) == PAIRS
    assert details["overhead_percent"] == pytest.approx(median(pairs))
    assert details["overhead_percent"] <= OVERHEAD_PERCENT
    assert details["rerun_speedup"] >= RERUN_SPEEDUP


def test_each_record_is_named_with_its_commit():
    page = (RECORDS / "README.md").read_text(encoding="utf-8")
    for path in RECORDS.glob("*.json"):
        (line,) = [one for one in page.splitlines() if one.startswith(f"- `{path.name}`: ")]
        assert f"lihop bench {path.stem}" in line
        assert "on commit " in line
