"""The bench of the screening tests."""

from __future__ import annotations

from tests.flows.conftest import _own_settings, bench, checkpoint
from tests.storage.conftest import make

__all__ = ["_own_settings", "bench", "checkpoint", "make"]
