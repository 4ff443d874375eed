"""A small OPTIMADE server on 127.0.0.1 that can be told to misbehave.

What the protocol is, tests ask optimade-python-tools' own reference server; it has no bad days, so this one
has them.
"""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE_LIMIT = 2


def document(name: str, edge_ang: float = 4.0, **changes: Any) -> dict[str, Any]:
    """Return rock salt LiF, one formula unit in its primitive cell; None as a change removes the field."""
    half = edge_ang / 2.0
    attributes = {
        "lattice_vectors": [[0.0, half, half], [half, 0.0, half], [half, half, 0.0]],
        "cartesian_site_positions": [[0.0, 0.0, 0.0], [half, half, half]],
        "species": [
            {"name": "Li", "chemical_symbols": ["Li"], "concentration": [1.0]},
            {"name": "F", "chemical_symbols": ["F"], "concentration": [1.0]},
        ],
        "species_at_sites": ["Li", "F"],
        "nperiodic_dimensions": 3,
        "dimension_types": [1, 1, 1],
        "structure_features": [],
        "chemical_formula_reduced": "FLi",
        "last_modified": "2024-05-01T00:00:00Z",
    } | changes
    kept = {key: value for key, value in attributes.items() if value is not None}
    return {"id": name, "type": "structures", "attributes": kept}


class OptimadeServer:
    """What the server has, how it behaves, and what it was asked."""

    def __init__(self, documents: list[Any]) -> None:
        self.documents = documents
        self.info: dict[str, Any] = {"api_version": "1.2.0"}
        self.database: dict[str, Any] | None = None
        self.stated: int | None = -1
        """How many documents it says there are; -1 for the truth, None for nothing."""
        self.faults: list[dict[str, Any]] = []
        """What the next answers are instead: a status, headers and a body (bytes, or plain JSON types)."""
        self.next_url: str | None = None
        """What the first page names as the next, in place of the truth."""
        self.withheld: set[str] = set()
        """What it lists and does not give when asked by id."""
        self.requests: list[str] = []
        self.base_url = ""

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body for a request."""
        self.requests.append(path)
        if self.faults:
            fault = self.faults.pop(0)
            body = fault.get("body", b"")
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            return fault.get("status", 200), fault.get("headers", {}), content
        parts = urlsplit(path)
        meta: dict[str, Any] = {"api_version": "1.2.0", "query": {"representation": path}}
        if self.database is not None:
            meta["database"] = self.database
        if parts.path == "/v1/info":
            data: Any = {"id": "/", "type": "info", "attributes": self.info}
            return 200, {}, json.dumps({"data": data, "meta": meta}).encode()
        if parts.path != "/v1/structures":
            return (
                404,
                {},
                json.dumps({"errors": [{"title": "Not Found", "detail": path}], "meta": meta}).encode(),
            )
        return 200, {}, json.dumps(self._structures(parse_qs(parts.query), meta)).encode()

    def _structures(self, asked: dict[str, list[str]], meta: dict[str, Any]) -> dict[str, Any]:
        ids = re.findall(r'id="([^"]*)"', asked.get("filter", [""])[0])
        wanted = set(ids) - self.withheld
        found = [
            one for one in self.documents if not ids or (isinstance(one, dict) and one.get("id") in wanted)
        ]
        start = int(asked.get("page_offset", ["0"])[0])
        fields = asked["response_fields"][0].split(",")
        limit = min(PAGE_LIMIT, int(asked.get("page_limit", ["10"])[0]))
        if self.stated is not None:
            meta["data_returned"] = len(found) if self.stated == -1 else self.stated
        links: dict[str, Any] = {"next": None}
        if start + limit < len(found):
            query = {key: value[0] for key, value in asked.items()} | {"page_offset": str(start + limit)}
            links["next"] = {"href": self.next_url or f"{self.base_url}/v1/structures?{urlencode(query)}"}
        data = [_slim(one, fields) for one in found[start : start + limit]]
        return {"data": data, "meta": meta, "links": links}


def _slim(one: Any, fields: list[str]) -> Any:
    if not isinstance(one, dict) or not isinstance(one.get("attributes"), dict):
        return one
    return one | {"attributes": {key: value for key, value in one["attributes"].items() if key in fields}}


@contextmanager
def serving(documents: list[Any]) -> Iterator[OptimadeServer]:
    """Serve some documents while the body runs."""
    state = OptimadeServer(documents)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = state.answer(self.path)
            self.send_response(status)
            for key, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.base_url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
