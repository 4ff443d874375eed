"""What the long benches said is kept in docs/bench, and holds what is said of it."""

from __future__ import annotations

import json
from pathlib import Path

RECORDS = Path(__file__).parents[2] / "docs" / "bench"
WITHIN = 1.25
"""How far the memory of a screening goes up and down: what is let go of is given back now and then."""


def test_memory_does_not_grow_with_the_number_of_materials():
    told = json.loads((RECORDS / "memory.json").read_text(encoding="utf-8"))
    details = told["details"]
    assert told["counts_equal"]
    assert details["materials"] == details["with_result"] == 20_000
    tenths = details["own_memory_mb_by_tenths_featurized"]
    assert len(tenths) == 10
    assert max(tenths) < WITHIN * min(tenths)


def test_each_record_is_named_with_its_commit():
    page = (RECORDS / "README.md").read_text(encoding="utf-8")
    for path in RECORDS.glob("*.json"):
        (line,) = [one for one in page.splitlines() if one.startswith(f"- `{path.name}`: ")]
        assert f"lihop bench {path.stem}" in line
        assert "on commit " in line
