"""An object store of its own on a free port, and a gate before it that fails as networks and stores do."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx
import pyarrow.fs
import pytest

from tests.servers.workstation import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET = "lihop-results"
KEY = "its-own-key"
PATIENCE_S, POLL_S = 60.0, 0.1
FAULT = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>"
RESET = "reset"
ALL_METHODS = ("PUT", "GET", "HEAD", "DELETE", "POST")
OF_A_HOP = {"content-length", "connection", "transfer-encoding"}
STATUS = {"SlowDown": 503, "InternalError": 500, "AccessDenied": 403}
AT_HOME = {
    "AWS_ACCESS_KEY_ID": KEY,
    "AWS_SECRET_ACCESS_KEY": "its-own-secret",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass
class Store:
    """S3 on this machine.

    Parameters
    ----------
    endpoint : str
        Host and port.
    """

    endpoint: str

    def uri(self, prefix: str, bucket: str = BUCKET) -> str:
        return f"s3://{bucket}/{prefix}?endpoint_override={self.endpoint}&scheme=http"

    @property
    def system(self) -> pyarrow.fs.S3FileSystem:
        return pyarrow.fs.S3FileSystem(
            endpoint_override=self.endpoint, scheme="http", region="us-east-1", allow_bucket_creation=True
        )

    def paths(self, prefix: str) -> list[str]:
        """Return what lies under a prefix, by name."""
        wanted = pyarrow.fs.FileSelector(f"{BUCKET}/{prefix}", recursive=True, allow_not_found=True)
        return sorted(one.path for one in self.system.get_file_info(wanted) if one.is_file)

    def names(self, prefix: str) -> list[str]:
        return sorted(path.rpartition("/")[2] for path in self.paths(prefix))

    def read(self, path: str) -> bytes:
        with self.system.open_input_file(path) as file:
            return file.read()

    def write(self, path: str, content: bytes) -> None:
        with self.system.open_output_stream(path) as file:
            file.write(content)

    def flip(self, path: str) -> None:
        content = bytearray(self.read(path))
        content[len(content) // 2] ^= 1
        self.write(path, bytes(content))


@dataclass
class Gate:
    """What stands before a store and lets requests through, but for those that are to fail.

    Parameters
    ----------
    store : Store
        What it stands before.
    faults : list of str
        How the next requests fail: a code of S3, or a connection that is reset.
    methods : tuple of str
        Which requests are meant.
    """

    store: Store
    port: int
    faults: list[str] = field(default_factory=list)
    methods: tuple[str, ...] = ALL_METHODS
    asked: int = 0

    def uri(self, prefix: str) -> str:
        return Store(f"127.0.0.1:{self.port}").uri(prefix)

    def next_fault(self, method: str) -> str | None:
        if method not in self.methods:
            return None
        self.asked += 1
        return self.faults.pop(0) if self.faults else None


@contextmanager
def serving_objects(folder) -> Iterator[Store]:
    """Start a store as a process of its own, and make a bucket."""
    port = free_port()
    said = folder / "said.txt"
    with said.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            cwd=folder, stdout=file, stderr=file, env=os.environ | AT_HOME,
        )  # fmt: skip
    try:
        store = Store(f"127.0.0.1:{port}")
        end = time.monotonic() + PATIENCE_S
        while not _answers(store):
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"the object store did not start: {said.read_text()}")
            threading.Event().wait(POLL_S)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in AT_HOME.items():
                patch.setenv(name, value)
            store.system.create_dir(BUCKET)
            yield store
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


@contextmanager
def gated(store: Store) -> Iterator[Gate]:
    """Put a gate before a store."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    gate = Gate(store, server.server_address[1])
    server.gate = gate
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield gate
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE_S)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _pass(self) -> None:
        gate: Gate = self.server.gate
        content = self._content()
        fault = gate.next_fault(self.command)
        if fault == RESET:
            # Closed with unsent data dropped, the other side is told so.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        if fault is not None:
            self._answer(
                STATUS[fault], {"Content-Type": "application/xml"}, FAULT.format(code=fault).encode()
            )
            return
        answer = httpx.request(
            self.command, f"http://{gate.store.endpoint}{self.path}", content=content,
            headers={name: value for name, value in self.headers.items() if name.lower() not in OF_A_HOP},
            timeout=PATIENCE_S,
        )  # fmt: skip
        self._answer(answer.status_code, dict(answer.headers), answer.content)

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = _pass  # noqa: N815 - as the base class calls them

    def _content(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        # What may follow the last part are headers, and a line that is empty.
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in OF_A_HOP | {"date", "server"}:
                self.send_header(name, value)
        length = headers.get("content-length", "0") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_args) -> None:
        """Keep quiet."""


def _answers(store: Store) -> bool:
    try:
        return httpx.get(f"http://{store.endpoint}/moto-api/data.json", timeout=PATIENCE_S).is_success
    except httpx.TransportError:
        return False
