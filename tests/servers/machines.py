"""Several machines on this one: hosts in network namespaces, each with a link that can be cut.

Where namespaces may not be made, a machine is processes with a home of their own, and cutting it off freezes
them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.processes import descendants
from tests.servers.workstation import environment, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HUB = "hub"
STOP_S = 60.0


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


def namespaces_may_be_made() -> bool:
    """Tell whether this user may make network namespaces."""
    name = f"lihop-{os.getpid()}-probe"
    try:
        _ip("netns", "add", name)
        _ip("netns", "delete", name)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


@dataclass
class Machine:
    """One host."""

    name: str
    home: Path
    api: str
    namespace: str | None
    cable: str | None = None
    hub: str | None = None
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def command(self, *arguments: str) -> list[str]:
        """Return a Python command as it is run on this machine."""
        inside = [] if self.namespace is None else ["ip", "netns", "exec", self.namespace]
        return [*inside, sys.executable, "-m", *arguments]

    def environment(self) -> dict[str, str]:
        return environment(self.home) | {"PREFECT_API_URL": self.api, "NO_PROXY": "*"}

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
        """Start a Python module; what it prints goes to a file in the home."""
        log = self.home / f"{arguments[1]}.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                self.command(*arguments), stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=self.home,
                env=self.environment() | more, start_new_session=True,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def cut(self) -> None:
        """Let nothing through to it or from it any more."""
        if self.cable is not None and self.hub is not None:
            _ip("-n", self.hub, "link", "set", self.cable, "down")
        else:
            self._signal(signal.SIGSTOP)

    def join(self) -> None:
        """Connect it again."""
        if self.cable is not None and self.hub is not None:
            _ip("-n", self.hub, "link", "set", self.cable, "up")
        else:
            self._signal(signal.SIGCONT)

    def switch_off(self) -> None:
        """Kill everything that runs on it."""
        self._signal(signal.SIGKILL)
        for process in self.processes:
            process.wait(STOP_S)
        self.processes.clear()

    def _signal(self, number: signal.Signals) -> None:
        for pid in self._pids():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _pids(self) -> set[int]:
        """Return what runs on it: all that is in its namespace, or all that came of what was started."""
        if self.namespace is not None:
            told = subprocess.run(
                ["ip", "netns", "pids", self.namespace], check=True, capture_output=True, text=True
            )
            return {int(pid) for pid in told.stdout.split()}
        started = {process.pid for process in self.processes}
        return started | descendants(*started)


@contextmanager
def machines(root: Path, *names: str) -> Iterator[dict[str, Machine]]:
    """Make a hub, on which a server may run, and machines that reach it and not each other."""
    port = free_port()
    isolated = namespaces_may_be_made()
    hub = f"lihop-{os.getpid()}-{HUB}" if isolated else None
    with ExitStack() as made:
        if hub is not None:
            _namespace(hub, made)
        found = {HUB: _machine(root, HUB, f"http://127.0.0.1:{port}/api", hub)}
        made.callback(found[HUB].switch_off)
        for number, name in enumerate(names, start=1):
            if hub is None:
                found[name] = _machine(root, name, found[HUB].api, None)
            else:
                found[name] = _connected(root, name, number, port, hub, made)
            made.callback(found[name].switch_off)
        yield found


def _machine(root: Path, name: str, api: str, namespace: str | None) -> Machine:
    home = root / f"home-of-{name}"
    home.mkdir()
    return Machine(name, home, api, namespace)


def _namespace(name: str, made: ExitStack) -> None:
    _ip("netns", "add", name)
    made.callback(_ip, "netns", "delete", name)
    _ip("-n", name, "link", "set", "lo", "up")


def _connected(root: Path, name: str, number: int, port: int, hub: str, made: ExitStack) -> Machine:
    """Make a machine with a cable of its own to the hub."""
    namespace, cable = f"lihop-{os.getpid()}-{name}", f"lh{number}"
    _namespace(namespace, made)
    _ip("-n", hub, "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", namespace)
    for where, device, address in ((hub, cable, 1), (namespace, "eth0", 2)):
        _ip("-n", where, "address", "add", f"10.77.{number}.{address}/24", "dev", device)
        _ip("-n", where, "link", "set", device, "up")
    machine = _machine(root, name, f"http://10.77.{number}.1:{port}/api", namespace)
    machine.cable, machine.hub = cable, hub
    return machine
