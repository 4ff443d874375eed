"""Bodies of flows without Prefect's engine and without a server: what they do, not what is shown of it."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from flows.running.plain import PlainSteps

if TYPE_CHECKING:
    from types import ModuleType

    import pytest


class Quiet:
    """A logger that logs nothing."""

    def info(self, *_said: object) -> None:
        """Say nothing."""


def beside_prefect(monkeypatch: pytest.MonkeyPatch, flow: ModuleType) -> None:
    """Let the body of a flow's module be called as `flow.fn`."""
    monkeypatch.setattr(flow, "at_work", lambda *_of: nullcontext())
    monkeypatch.setattr(flow, "get_run_logger", Quiet)
    if hasattr(flow, "PrefectSteps"):
        monkeypatch.setattr(flow, "PrefectSteps", PlainSteps)
        monkeypatch.setattr(flow, "_run_id", lambda: "r1")
        monkeypatch.setattr(flow, "show_screening", lambda _: None)
        monkeypatch.setattr(flow, "show_unfinished", lambda *_of: None)
