"""A browser for tests: Chromium of the system, in a profile of its own, driven by Playwright."""

from __future__ import annotations

import os
import shutil

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE_MS = 60_000.0
"""How long an element may take to appear on a busy machine."""


@pytest.fixture(scope="session")
def browser_path():
    """Return where a browser is. Its absence fails where CI runs and skips elsewhere."""
    named = os.environ.get("LIHOP_TEST_BROWSER")
    found = [path for path in map(shutil.which, [named] if named else BROWSERS) if path is not None]
    if found:
        return found[0]
    what = f"LIHOP_TEST_BROWSER={named} is no program" if named else f"none of {', '.join(BROWSERS)} is here"
    message = f"no browser to test with: {what}; install Debian's chromium, or set LIHOP_TEST_BROWSER"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="module")
def page(browser_path, tmp_path_factory):
    """Return a page of a browser that knows nothing yet."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)

    profile = tmp_path_factory.mktemp("profile")
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=browser_path, headless=True, args=FLAGS,
            viewport={"width": 1400, "height": 1000},
        )  # fmt: skip
        context.set_default_timeout(PATIENCE_MS)
        yield context.pages[0]
        context.close()
