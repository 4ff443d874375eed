"""A server without a password: its own UI and programs are answered, pages of others are not."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from flows.orchestration.own_pages import OwnPagesOnly, own_origins

PORT = 4321


def _asked(kind, headers):
    """Return what a guarded application sends back, and whether it was asked at all."""
    reached, sent = [], []

    async def app(scope, _receive, _send):
        reached.append(scope)

    async def send(message):
        sent.append(message)

    async def receive():
        raise AssertionError("nothing is read of what is refused")

    scope = {"type": kind, "headers": [(name.encode(), value.encode()) for name, value in headers]}
    asyncio.run(OwnPagesOnly(app, PORT)(scope, receive, send))
    return sent, bool(reached)


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("host", [f"127.0.0.1:{PORT}", "localhost", "LOCALHOST:9", f"[::1]:{PORT}"])
@pytest.mark.parametrize("origin", [None, *own_origins(PORT)])
def test_own_pages_and_programs_are_answered(kind, host, origin):
    """A tunnel may end at another port: what counts of a host is its name."""
    headers = [("host", host), *([("origin", origin)] if origin else [])]
    assert _asked(kind, headers) == ([], True)


FOREIGN = [
    [("host", "evil.example")],
    [("host", f"evil.example:{PORT}")],
    [("host", f"127.0.0.1.evil.example:{PORT}")],
    [("host", f"localhost:{PORT}@evil.example")],
    [("host", f"127.0.0.1:{PORT}"), ("Host", "evil.example")],
    [],
    [("host", f"127.0.0.1:{PORT}"), ("origin", "https://evil.example")],
    [("host", f"127.0.0.1:{PORT}"), ("Origin", "null")],
    [("host", f"127.0.0.1:{PORT}"), ("origin", f"http://127.0.0.1:{PORT + 1}")],
    [("host", f"127.0.0.1:{PORT}"), ("origin", f"http://127.0.0.1:{PORT}.evil.example")],
    [("host", f"127.0.0.1:{PORT}"), ("origin", f"https://127.0.0.1:{PORT}")],
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_pages_of_others_are_refused(headers):
    sent, reached = _asked("http", headers)
    assert not reached
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 403
    assert b"127.0.0.1" in sent[1]["body"]


@pytest.mark.parametrize("headers", FOREIGN)
def test_web_sockets_of_others_are_refused(headers):
    (closed,), reached = _asked("websocket", headers)
    assert not reached
    assert (closed["type"], closed["code"]) == ("websocket.close", 1008)


def test_pages_of_others_frame_none_of_ours():
    sent = []

    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})
        await send({"type": "http.response.body", "body": b"page"})

    async def keep(message):
        sent.append(message)

    scope = {"type": "http", "headers": [(b"host", b"localhost")]}
    asyncio.run(OwnPagesOnly(app, PORT)(scope, None, keep))
    headers = dict(sent[0]["headers"])
    assert headers[b"a"] == b"b"
    assert headers[b"content-security-policy"] == b"frame-ancestors 'self'"
    assert headers[b"x-frame-options"] == b"SAMEORIGIN"
    assert sent[1] == {"type": "http.response.body", "body": b"page"}


def test_what_starts_and_ends_the_server_reaches_it():
    """It has no headers."""
    reached = []

    async def app(scope, _receive, _send):
        reached.append(scope)

    asyncio.run(OwnPagesOnly(app, PORT)({"type": "lifespan"}, None, None))
    assert reached


def test_no_page_reads_what_an_ephemeral_server_answers(tmp_path):
    """Every command of lihop may start one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    told = (
        "from flows.prefect_environment import prepare_prefect; prepare_prefect(); "
        "from prefect.settings import get_current_settings; "
        "print([get_current_settings().server.api.cors_allowed_origins])"
    )
    done = subprocess.run(
        [sys.executable, "-c", told], env=kept | {"PREFECT_HOME": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "['']\n", done.stderr
