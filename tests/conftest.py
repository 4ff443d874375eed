"""Fixtures for all tests: the devi2025 data set, and an environment that no user setting leaks into."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def devi2025_dir() -> Path:
    """The folder of the devi2025 data set. Its absence fails where CI runs and skips elsewhere."""
    candidates = [os.environ.get("LIHOP_DATA_DIR"), "data", "../shared/data"]
    root = Path(__file__).resolve().parents[1]
    for candidate in candidates:
        if candidate is not None:
            folder = (root / candidate / "devi2025").resolve()
            if (folder / "train_5images.json").is_file():
                return folder
    message = "the devi2025 data set is not there: set LIHOP_DATA_DIR to the folder that holds devi2025/"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session", autouse=True)
def _interrupts_are_heard():
    """Hear interrupts also in tests that were started in the background, where shells have them ignored."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
