"""A server without a password answers the pages of its own UI, and no other page that a browser has open."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Message, Receive, Send], Awaitable[None]]

NAMES = ("127.0.0.1", "localhost")
"""What this machine calls itself."""

OWN_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?", re.IGNORECASE)
REFUSED = 403
UNFRAMED = [(b"content-security-policy", b"frame-ancestors 'self'"), (b"x-frame-options", b"SAMEORIGIN")]
"""No page of others shows ours in a frame, where clicks meant for that page would start or cancel runs."""

POLICY = 1008
"""The code with which a WebSocket is closed that breaks a rule of the server."""


def own_origins(port: int) -> tuple[str, ...]:
    """Return the origins of the pages that a server on this machine serves.

    Parameters
    ----------
    port : int
        Its port.
    """
    return tuple(f"http://{name}:{port}" for name in NAMES)


class OwnPagesOnly:
    """Refuse what pages of others send, whatever it is; programs, which send no origin, are answered.

    A browser names the origin of the page with everything that can change something: with a WebSocket, and
    with a form, for which it asks no leave. And it names the host that the page took this machine for: a page
    whose name was pointed to this machine after it was loaded (DNS rebinding) is of one origin with us, by a
    name that is not ours.

    Parameters
    ----------
    app : callable
        The server, an ASGI application.
    port : int
        Its port.
    """

    def __init__(self, app: App, port: int) -> None:
        self.app = app
        self.origins = own_origins(port)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] not in {"http", "websocket"} or (why := self._refusal(scope["headers"])) is None:
            await self.app(scope, receive, _unframed(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": POLICY, "reason": why})
        else:
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": REFUSED, "headers": headers})
            await send({"type": "http.response.body", "body": json.dumps({"detail": why}).encode()})

    def _refusal(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """Return why what has these headers is refused, or nothing."""
        given: dict[bytes, list[str]] = {b"host": [], b"origin": []}
        for name, value in headers:
            if name.lower() in given:
                given[name.lower()].append(value.decode("latin-1"))
        if not given[b"host"] or not all(map(OWN_HOST.fullmatch, given[b"host"])):
            return f"this server is reached as {' or '.join(NAMES)}, and by no other name"
        if not set(given[b"origin"]) <= set(self.origins):
            return f"this server answers pages of {' and '.join(self.origins)}, and of no other origin"
        return None


def _unframed(send: Send) -> Send:
    """Return what sends the same, and forbids pages of others to frame it."""

    async def send_unframed(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *UNFRAMED]}
        await send(message)

    return send_unframed
