"""The few requests by which Prefect's client holds a global limit of one, answered as its server does."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMITS = "/api/v2/concurrency_limits"
IDENTIFIER = str(uuid4())


class LimitServer:
    """A server of one limit, which can go away and come back under its address.

    Parameters
    ----------
    name : str
        The limit.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.lease: str | None = None
        self.given: list[str] = []
        self.refused = threading.Event()
        self.renewed = threading.Event()
        self.asked: list[str] = []
        self._hangs: tuple[str, threading.Event] | None = None
        self._lock = threading.Lock()
        self._port = 0
        self._server: ThreadingHTTPServer | None = None

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self._port}/api"

    def come(self) -> None:
        """Listen, at a free port or at the one from before."""
        owner = self

        class Handler(BaseHTTPRequestHandler):
            # Each answer ends its connection, so that none outlives the server.
            def do_GET(self) -> None:
                self._tell(*owner.read(self.path))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"] or 0))
                owner.asked.append(self.path.rpartition("/")[2])
                owner.hang(self.path)
                self._tell(*owner.change(self.path, json.loads(body or b"{}")))

            def _tell(self, status: HTTPStatus, answer: object = None) -> None:
                content = b"" if answer is None else json.dumps(answer).encode()
                self.send_response(status)
                if status == HTTPStatus.LOCKED:
                    self.send_header("Retry-After", "60")
                self.send_header("Content-Length", str(len(content)))
                # Who was let hang may be gone.
                with suppress(ConnectionError):
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, *_given: object) -> None:
                """Keep the output of the tests clean."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def go(self) -> None:
        """Be gone: whoever asks is refused the connection. What was leased is remembered."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def take(self) -> str | None:
        """Give the place to somebody, if it is free; return the lease."""
        with self._lock:
            if self.lease is not None:
                self.refused.set()
                return None
            self.lease = str(uuid4())
            self.given.append(self.lease)
            return self.lease

    def free(self) -> None:
        """Let a lease run out."""
        with self._lock:
            self.lease = None

    @contextmanager
    def hanging(self, part: str) -> Iterator[None]:
        """Answer no request inside the body whose path has that part."""
        over = threading.Event()
        self._hangs = (part, over)
        try:
            yield
        finally:
            self._hangs = None
            over.set()

    def hang(self, path: str) -> None:
        """Wait until it is over, if such a request is to hang."""
        if self._hangs is not None and self._hangs[0] in path:
            if "leases" in path:
                self.renewed.set()
            self._hangs[1].wait()

    def read(self, path: str) -> tuple[HTTPStatus, Any]:
        if path != f"{LIMITS}/{self.name}":
            return HTTPStatus.NOT_FOUND, {"detail": "not found"}
        now = datetime.now(UTC).isoformat()
        taken = int(self.lease is not None)
        return HTTPStatus.OK, {
            "id": IDENTIFIER, "created": now, "updated": now, "active": True, "name": self.name, "limit": 1,
            "active_slots": taken,
        }  # fmt: skip

    def change(self, path: str, asked: dict[str, Any]) -> tuple[HTTPStatus, Any]:
        if path == f"{LIMITS}/increment-with-lease":
            if asked["names"] != [self.name]:
                return HTTPStatus.OK, {"lease_id": str(uuid4()), "limits": []}
            lease = self.take()
            if lease is None:
                return HTTPStatus.LOCKED, {"detail": "locked"}
            limit = {"id": IDENTIFIER, "name": self.name, "limit": 1}
            return HTTPStatus.OK, {"lease_id": lease, "limits": [limit]}
        if path == f"{LIMITS}/decrement-with-lease":
            with self._lock:
                if self.lease == asked["lease_id"]:
                    self.lease = None
            return HTTPStatus.NO_CONTENT, None
        if path.startswith(f"{LIMITS}/leases/"):
            self.renewed.set()
            ours = self.lease is not None and self.lease in path
            return (HTTPStatus.NO_CONTENT, None) if ours else (HTTPStatus.GONE, {"detail": "Lease not found"})
        return HTTPStatus.NOT_FOUND, {"detail": "not found"}


@contextmanager
def limit_server(name: str) -> Iterator[LimitServer]:
    """Serve a limit inside the body."""
    server = LimitServer(name)
    server.come()
    try:
        yield server
    finally:
        server.go()
