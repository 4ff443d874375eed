"""The guide to a workstation, followed to the letter."""

from __future__ import annotations

import pytest

from tests.deployments.guide import Reader, blocks
from tests.servers.workstation import free_port


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_guide_does_what_it_says(tmp_path):
    port = free_port()
    said = {}
    start, *others = blocks("workstation")
    assert start.is_service
    with Reader(tmp_path, {"lihop serve": f"lihop serve --port {port}", "4200": str(port)}) as reader:
        reader.follow(start)
        reader.until(lambda: f"Prefect is at http://127.0.0.1:{port}" in reader.printed())
        for block in others:
            said[block.section] = said.get(block.section, "") + reader.follow(block)
        assert "Completed" in said["See that it works"]
        assert "ref-lifebo3" in said["See that it works"]
        results = tmp_path / "home" / "lihop"
        assert list((results / "lihop.duckdb.work").glob("snapshots/*"))
        (service,) = reader.services
        assert reader.end(service) == 0
