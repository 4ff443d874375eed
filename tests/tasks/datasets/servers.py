"""A web server on this machine that serves files as good and bad servers do, and remembers what was asked."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Shelf:
    """What is served, and how.

    `cut_at` breaks an answer off after so many bytes, once for each entry; `statuses` are answered first;
    `ranges` says whether parts may be asked for; `redirects` names where else a path is.
    """

    files: dict[str, bytes]
    cut_at: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    ranges: bool = True
    redirects: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    address: str = ""


def _handler(shelf):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            wanted = self.headers.get("Range")
            shelf.asked.append((self.path, wanted))
            if self.path in shelf.redirects:
                self._answer(302, b"", {"Location": shelf.redirects[self.path]})
                return
            body = shelf.files.get(self.path.lstrip("/"))
            status = shelf.statuses.pop(0) if shelf.statuses else (200 if body is not None else 404)
            if status != 200:
                self._answer(status, b"", {})
                return
            if wanted is None or not shelf.ranges:
                self._answer(200, body, {})
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                self._answer(416, b"", {"Content-Range": f"bytes */{len(body)}"})
                return
            self._answer(206, body[start:], {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"})

        def _answer(self, status, body, headers):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if status in {200, 206} and shelf.cut_at:
                self.wfile.write(body[: shelf.cut_at.pop(0)])
                self.wfile.flush()
                self.close_connection = True
                return
            self.wfile.write(body)

        def log_message(self, *_given):
            pass

    return Handler


@contextmanager
def serving(files, **how):
    """Serve files by name inside the body."""
    shelf = Shelf(files=files, **how)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(shelf))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    shelf.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield shelf
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
