"""Answers requests as the Materials Project's REST server does, or as the faults say."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from tests.servers.documents import DEFAULT_FIELDS, document
from tests.servers.faults import ELECTRODES, HEARTBEAT, SUMMARY, Fault, Faults
from tests.servers.filtering import Query, RefusedError, read_query
from tests.servers.material import GNOME_BATCH, Facts

if TYPE_CHECKING:
    from tests.servers.world import World

KINDS = {SUMMARY: "summary", ELECTRODES: "electrodes"}
URL_LIMIT = 8190
API_VERSION = "0.86.3"
PAGE = (
    b"<!DOCTYPE html><html><head><title>Just a moment</title></head><body>Checking your browser</body></html>"
)
MESSAGES = {
    401: {"message": "Invalid authentication credentials"},
    403: {"message": "You cannot consume this service"},
    429: {"message": "API rate limit exceeded"},
    500: {"detail": "Internal Server Error"},
    502: {"message": "An invalid response was received from the upstream server"},
    503: {"message": "Service unavailable"},
    504: {"message": "The upstream server is timing out"},
}
SELECTIONS_KEPT = 8


@dataclass(frozen=True)
class Request:
    """One request as it was answered: status 0 stands for an answer that was cut or never came."""

    path: str
    params: dict[str, str]
    status: int
    ids: tuple[str, ...]


class ProtocolServer(ThreadingHTTPServer):
    """Serves one world to many clients, a thread a connection."""

    daemon_threads = True
    # A test that ends with a request in flight must not wait for it.
    block_on_close = False
    request_queue_size = 64

    def __init__(self, world: World, key: str, port: int, faults: Faults | None = None) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.world = world
        self.key = key
        self.faults = Faults() if faults is None else faults
        self.requests: list[Request] = []
        self.stopping = threading.Event()
        self._selections: dict[Any, list[Facts]] = {}
        self._page_sizes: dict[Any, int] = {}
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()

    @property
    def endpoint(self) -> str:
        """The address for MPRester."""
        return f"http://127.0.0.1:{self.server_port}/"

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        with self._lock:
            self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away; what else went wrong must be seen."""
        import sys

        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def stop(self) -> None:
        """Stop serving and close every connection, those that hang too."""
        self.stopping.set()
        self.shutdown()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self.server_close()

    def selected(self, query: Query) -> list[Facts]:
        """Return the materials that a query selects, remembered for its next pages while nothing changes."""
        key = (query.kind, query.key, query.sort, self.world.revision)
        with self._lock:
            if key in self._selections:
                return self._selections[key]
        view = self.world.material
        found = [facts for facts in self.world.members(query.kind) if query.selects(view(facts, query.kind))]
        for name in reversed(query.sort):
            field = name.removeprefix("-")
            values = {id(f): document(query.kind, view(f, query.kind), (field,)).get(field) for f in found}
            found.sort(key=lambda f, v=values: (v[id(f)] is not None, v[id(f)]), reverse=name.startswith("-"))
        with self._lock:
            while len(self._selections) >= SELECTIONS_KEPT:
                self._selections.pop(next(iter(self._selections)))
            self._selections[key] = found
        return found

    def page(self, query: Query) -> int:
        """Return the page's number by the first page's size: the client asks for fewer on the last."""
        key = (query.kind, query.key, query.sort, query.fields)
        with self._lock:
            if query.skip == 0:
                self._page_sizes[key] = query.limit
            return query.skip // max(self._page_sizes.get(key, query.limit), 1)

    # What tests ask afterwards.

    def count(self, path: str | None = None) -> int:
        """Return how many requests for documents there were, of "summary", "electrodes" or both."""
        return len(self.made(path))

    def made(self, path: str | None = None) -> list[Request]:
        """Return the requests for documents, of "summary", "electrodes" or both."""
        return [one for one in self.requests if one.path in KINDS and path in {None, KINDS[one.path]}]

    def fetched(self, field: str = "structure") -> list[str]:
        """Return the ids, in their normal spelling, of summary documents given with a field, in order."""
        return [
            name
            for one in self.made("summary")
            if "_all_fields" in one.params or field in one.params.get("_fields", "").split(",")
            for name in one.ids
        ]

    def forget(self) -> None:
        """Forget the requests until now."""
        self.requests.clear()


class Handler(BaseHTTPRequestHandler):
    """One connection, kept open as the client likes."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ProtocolServer

    def log_message(self, *_args: object) -> None:
        """Say nothing: the requests are kept, and a test's output is its own."""

    def do_GET(self) -> None:
        """Answer."""
        url = urlsplit(self.path)
        params = dict(parse_qsl(url.query, keep_blank_values=True))
        path = url.path if url.path == HEARTBEAT else url.path.rstrip("/") + "/"
        self.server.faults.arrived(path)
        if path == HEARTBEAT:
            self._heartbeat()
        elif path not in KINDS:
            self._send(path, params, 404, {"detail": "Not Found"})
        elif len(self.path) > URL_LIMIT:
            self._send(path, params, 414, {"message": "Request-URI Too Large"})
        elif (key := self.headers.get("x-api-key")) != self.server.key:
            missing = {"message": "No API key found in request"}
            self._send(path, params, 401, MESSAGES[401] if key else missing)
        else:
            self._documents(path, params)

    def _heartbeat(self) -> None:
        body = {
            "status": "OK",
            "time": "2026-01-15T00:00:00",
            "version": API_VERSION,
            "db_version": self.server.world.db_version,
            "access_controlled_batch_ids": [GNOME_BATCH],
        }
        if not self._troubled(HEARTBEAT, {}, self.server.faults.befall(HEARTBEAT, None, None), body):
            self._send(HEARTBEAT, {}, 200, body)

    def _documents(self, path: str, params: dict[str, str]) -> None:
        kind = KINDS[path]
        try:
            query = read_query(kind, params, DEFAULT_FIELDS[kind])
        except RefusedError as error:
            self._send(path, params, error.status, {"detail": error.detail})
            return
        found = self.server.selected(query)
        page, last = self.server.page(query), query.skip + query.limit >= len(found)
        fault = self.server.faults.befall(path, page, page if last else None)
        start, stop = query.skip, query.skip + query.limit
        if fault is not None and fault.kind == "overlap":
            start = max(start - fault.documents, 0)
            stop = start + query.limit
        if fault is not None and fault.kind == "short":
            stop = max(min(stop, len(found)) - fault.documents, start)
        shown = found[start:stop]
        asked = None if query.fields is None else frozenset(one.split(".")[0] for one in query.fields)
        world, faults = self.server.world, self.server.faults
        data = [
            faults.spoiled(kind, f.number, document(kind, world.material(f, kind), query.fields), asked)
            for f in shown
        ]
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        meta = {"api_version": API_VERSION, "time_stamp": stamp, "total_doc": len(found), "facet": None}
        body = {"data": data, "meta": meta}
        if not self._troubled(path, params, fault, body):
            self._send(path, params, 200, body, tuple(f.material_id for f in shown))

    def _troubled(self, path: str, params: dict[str, str], fault: Fault | None, body: dict[str, Any]) -> bool:
        """Misbehave, where the fault is one that spoils an answer as a whole; say whether it did."""
        if fault is None or fault.kind in {"short", "overlap"}:
            return False
        whole = orjson.dumps(body)
        if fault.kind == "status":
            message = MESSAGES.get(fault.status, {"detail": "error"})
            more = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
            self._send(path, params, fault.status, message, headers=more)
        elif fault.kind == "no_data":
            self._send(path, params, 200, {name: body[name] for name in body if name != "data"})
        elif fault.kind == "html":
            self._write(path, params, 200, PAGE, content_type="text/html")
        elif fault.kind == "truncate":
            self._write(path, params, 200, whole[: len(whole) // 2])
        elif fault.kind == "cut":
            self._note(Request(path, params, 0, ()))
            self._head(200, len(whole))
            self.wfile.write(whole[: len(whole) // 2])
            self.close_connection = True
        else:
            self._note(Request(path, params, 0, ()))
            self.server.stopping.wait(fault.seconds)
            self.close_connection = True
        return True

    def _send(
        self, path: str, params: dict[str, str], status: int, body: object, ids: tuple[str, ...] = (),
        headers: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        self._write(path, params, status, orjson.dumps(body), ids=ids, headers=headers)

    def _write(
        self, path: str, params: dict[str, str], status: int, body: bytes, *, ids: tuple[str, ...] = (),
        headers: dict[str, str] | None = None, content_type: str = "application/json",
    ) -> None:  # fmt: skip
        # Noted first: whoever has the answer finds the request noted.
        self._note(Request(path, params, status, ids))
        self._head(status, len(body), headers, content_type)
        self.wfile.write(body)

    def _head(
        self, status: int, length: int, headers: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> None:  # fmt: skip
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(length))
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.end_headers()

    def _note(self, request: Request) -> None:
        self.server.requests.append(request)
