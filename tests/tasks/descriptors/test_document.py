"""The page about descriptors is what the registry says."""

from __future__ import annotations

from pathlib import Path

from tasks.descriptors.document import descriptor_page
from tasks.descriptors.keys import descriptor_table

PAGE = Path(__file__).parents[3] / "docs" / "descriptors.md"


def test_the_page_is_made_from_the_registry():
    """Print it anew when this fails: lihop data descriptors --markdown > docs/descriptors.md."""
    assert PAGE.read_text(encoding="utf-8") == descriptor_page()


def test_every_descriptor_has_a_line():
    lines = descriptor_page().splitlines()
    for row in descriptor_table():
        assert sum(line.startswith(f"| `{row['key']}` |") and row["meaning"] in line for line in lines) >= 1
    assert sum(line.startswith("| `") for line in lines) == len(descriptor_table())
    # A bar within a cell would open another column.
    assert all(line.count("|") == 6 for line in lines if line.startswith("| `"))
