"""The bench of the screening tests."""

from __future__ import annotations

from tests.flows.conftest import _own_settings, bench, checkpoint

__all__ = ["_own_settings", "bench", "checkpoint"]
