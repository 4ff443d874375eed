"""Fixtures for tests of sources: a server that speaks the Materials Project's protocol."""

from __future__ import annotations

from tests.servers.fixtures import mp_server, real_client, served

__all__ = ["mp_server", "real_client", "served"]
