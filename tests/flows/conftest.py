"""A tiny checkpoint of the real input shapes, and a bench to screen on."""

from __future__ import annotations

import pytest

from tests.campaigns import Bench, write_checkpoint


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch, tmp_path):
    """No setting of whoever runs the tests leaks in, and nothing is written where they stand."""
    import os

    for name in [name for name in os.environ if name.startswith("LIHOP_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture(scope="session")
def other_checkpoint(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("checkpoint") / "other", seed=1)


@pytest.fixture
def bench(tmp_path, checkpoint):
    return Bench(tmp_path, checkpoint)
