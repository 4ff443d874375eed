"""The protocol server as a fixture; a conftest or a test module imports `mp_server` from here."""

from __future__ import annotations

import pytest

from tests.servers.materials_project import KEY, World, serving


@pytest.fixture
def mp_server(monkeypatch):
    """A server of 60 small materials, and an environment in which the client finds it."""
    for name in ("MP_API_KEY", "PMG_MAPI_KEY", "MP_API_ENDPOINT", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(World(materials=60, max_sites=8)) as server:
        monkeypatch.setenv("LIHOP_MP_ENDPOINT", server.endpoint)
        monkeypatch.setenv("LIHOP_MP_API_KEY", KEY)
        yield server


@pytest.fixture
def served():
    """A server of 90 materials of all sizes; the environment stays as it is."""
    with serving(World(materials=90)) as server:
        yield server


@pytest.fixture
def real_client(served):
    """The real client of `served`, without its models."""
    from mp_api.client import MPRester

    with MPRester(KEY, endpoint=served.endpoint, mute_progress_bars=True, use_document_model=False) as rester:
        yield rester
