"""A PostgreSQL of a test's own: in a temporary folder, on a free port of 127.0.0.1, asking for passwords."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.workstation import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ADMINISTRATOR = "postgres"
PATIENCE_S = 60.0


@dataclass(frozen=True)
class PostgreSQL:
    """A server at work: over its socket the administrator needs no password, over the port everybody does."""

    folder: Path
    port: int

    def environment(self) -> dict[str, str]:
        """Return what makes libpq's programs speak to it as its administrator."""
        return {"PGHOST": str(self.folder), "PGPORT": str(self.port), "PGUSER": ADMINISTRATOR}

    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """Run a PostgreSQL until the end of the block."""
    initdb, postgres = _program("initdb"), _program("postgres")
    # Not below pytest's folders, closed to others: it refuses to be root. And sockets need a short name.
    folder = Path(tempfile.mkdtemp(prefix="lihop-pg-"))
    here = PostgreSQL(folder, free_port())
    try:
        folder.chmod(0o755)
        (folder / "log").touch()
        prefix = _as_somebody_else(folder)
        made = [
            initdb,
            "--pgdata",
            str(folder / "data"),
            "--username",
            ADMINISTRATOR,
            "--encoding",
            "UTF8",
            "--locale",
            "C",
            "--no-sync",
            "--auth-local",
            "trust",
            "--auth-host",
            "scram-sha-256",
        ]
        subprocess.run([*prefix, *made], check=True, capture_output=True, cwd=folder)
        command = [
            postgres,
            "-D",
            str(folder / "data"),
            "-h",
            "127.0.0.1",
            "-p",
            str(here.port),
            "-k",
            str(folder),
            "-c",
            "fsync=off",
        ]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([*prefix, *command], stdout=log, stderr=log, cwd=folder)
        try:
            _wait(here, process)
            yield here
        finally:
            # Fast: it would otherwise wait for whoever is connected.
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE_S)
    finally:
        shutil.rmtree(folder)


def _program(name: str) -> str:
    """Return where a program of the server is: Debian keeps them off the path."""
    found = shutil.which(name) or next(iter(sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)
    assert found, f"{name} is not here: install PostgreSQL, as .ci/run does"
    return str(found)


def _as_somebody_else(folder: Path) -> list[str]:
    """Return what a command is begun with so that it does not run as root, and give the folder away."""
    if os.geteuid() != 0:
        return []
    somebody = next(user for user in pwd.getpwall() if user.pw_name in {ADMINISTRATOR, "nobody"})
    for path in (folder, *folder.iterdir()):
        os.chown(path, somebody.pw_uid, somebody.pw_gid)
    return ["setpriv", f"--reuid={somebody.pw_uid}", f"--regid={somebody.pw_gid}", "--clear-groups"]


def _wait(here: PostgreSQL, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE_S
    asked = ["psql", "--command", "SELECT 1", "postgres"]
    while subprocess.run(
        asked, env=os.environ | here.environment(), capture_output=True, check=False
    ).returncode:
        assert process.poll() is None, here.log()
        assert time.monotonic() < end, here.log()
        time.sleep(0.1)
