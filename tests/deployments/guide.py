"""Runs the commands of a guide as they stand on the page; only ports and places are the test's own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.servers.workstation import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).parents[2]
GUIDES = ROOT / "docs" / "guides"
SERVICES = ("lihop serve", "prefect server start", "prefect worker start")
"""Commands that go on until somebody ends them: each has a terminal of its own."""

PATIENCE_S, STOP_S = 400.0, 60.0


@dataclass(frozen=True)
class Block:
    """Commands of a page, and the heading that they stand below."""

    section: str
    text: str

    @property
    def is_service(self) -> bool:
        return any(line.startswith(SERVICES) for line in self.text.splitlines())


def blocks(guide: str, kind: str = "bash") -> list[Block]:
    """Return the fenced blocks of one kind, in the order of the page."""
    page = (GUIDES / f"{guide}.md").read_text(encoding="utf-8")
    found, section = [], ""
    for match in re.finditer(r"^## ([^\n]+)$|^```(\w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        section = match[1] or section
        if match[2] == kind:
            found.append(Block(section, match[3]))
    return found


@dataclass
class Reader:
    """Somebody who follows a guide, block by block, on a machine of their own.

    Parameters
    ----------
    root : Path
        Folder for their home and for what the terminals print.
    instead : mapping of str to str
        What is put in the place of ports and folders of the page.
    settings : mapping of str to str
        Environment variables of the machine.
    """

    root: Path
    instead: Mapping[str, str]
    settings: Mapping[str, str] = field(default_factory=dict)
    services: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("home", "bin", "terminals"):
            (self.root / name).mkdir(exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for service in reversed(self.services):
            self.end(service)

    def program(self, name: str, text: str) -> None:
        """Put a program on the path, before all others of that name."""
        path = self.root / "bin" / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(self.root / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
        home = self.root / "home"
        return environment(home / ".prefect") | {"HOME": str(home), "PATH": path} | dict(self.settings)

    def follow(self, block: Block) -> str:
        """Run a block and return what it printed; a service is started, and left running."""
        text = block.text
        for theirs, ours in self.instead.items():
            text = text.replace(theirs, ours)
        state = self.root / "state"
        known = f". {state}\n" if state.exists() else ""
        if block.is_service:
            self._serve(f"{known}{text}")
            return ""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{known}{text}export -p > {state}\n"],
            env=self.environment(), cwd=self.root / "home", capture_output=True, text=True, check=False,
            timeout=PATIENCE_S,
        )  # fmt: skip
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}\n{self.printed()}"
        (self.root / "terminals" / f"{time.monotonic_ns()}.out").write_text(done.stdout + done.stderr)
        return done.stdout

    def _serve(self, text: str) -> None:
        with (self.root / "terminals" / f"{time.monotonic_ns()}.service").open("wb") as log:
            self.services.append(
                subprocess.Popen(
                    ["bash", "-euo", "pipefail", "-c", text],
                    env=self.environment(),
                    cwd=self.root / "home",
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def until(self, condition: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
        """Wait until something holds; say what the terminals show when it never does."""
        end = time.monotonic() + patience_s
        while not condition():
            dead = [one.args for one in self.services if one.poll() is not None]
            assert not dead, f"{dead} ended: {self.printed()}"
            assert time.monotonic() < end, self.printed()
            time.sleep(0.3)

    def end(self, service: subprocess.Popen[bytes]) -> int:
        """Press Ctrl-C in the terminal of a service and wait; what is left after that is killed."""
        if service.poll() is None:
            os.killpg(service.pid, signal.SIGINT)
            try:
                service.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill(service)
        return service.wait()

    @staticmethod
    def kill(service: subprocess.Popen[bytes]) -> None:
        """Kill a service and all that it has started."""
        os.killpg(service.pid, signal.SIGKILL)
        service.wait()

    def printed(self) -> str:
        """Return what all terminals show."""
        found = sorted((self.root / "terminals").iterdir())
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-4000:]}" for path in found)
