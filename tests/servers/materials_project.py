"""A small server on 127.0.0.1 that speaks the Materials Project's REST protocol, to tests and by hand.

``python -m tests.servers.materials_project --materials 200`` prints what to set and serves until Ctrl-C.
"""

from __future__ import annotations

import argparse
import threading
from contextlib import contextmanager
from dataclasses import fields
from typing import TYPE_CHECKING

from tests.servers.faults import KINDS, Fault, Faults
from tests.servers.protocol import ProtocolServer, Request
from tests.servers.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["KEY", "Fault", "Faults", "ProtocolServer", "Request", "World", "serving"]

KEY = "0123456789abcdefghijABCDEFGHIJ01"
"""Opens every server of the tests: 32 characters, as the client insists."""


@contextmanager
def serving(
    world: World | None = None, *, key: str = KEY, port: int = 0, faults: Faults | None = None
) -> Iterator[ProtocolServer]:
    """Serve a world from a thread of this process for as long as the block lasts.

    Parameters
    ----------
    world : World, optional
        What there is; 200 materials where left out.
    key : str
        The one that is let in.
    port : int
        0 takes a free one.
    faults : Faults, optional
        How to misbehave; also reached as the server's `faults`.
    """
    server = ProtocolServer(World() if world is None else world, key, port, faults)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


def read_fault(text: str) -> Fault:
    """Read a fault as the command line has it: its kind, then NAME=VALUE, all separated by commas."""
    kind, *more = text.split(",")
    if kind not in KINDS:
        raise argparse.ArgumentTypeError(f"{kind!r} is no fault; there are {', '.join(KINDS)}")
    known = {one.name for one in fields(Fault)} - {"kind", "befallen"}
    values: dict[str, object] = {}
    for one in more:
        name, _, value = one.partition("=")
        if name not in known:
            raise argparse.ArgumentTypeError(f"{name!r}: a fault has {', '.join(sorted(known))}")
        if name == "times" and value == "all":
            values[name] = None
        elif value.isdigit():
            values[name] = int(value)
        else:
            values[name] = float(value) if value.replace(".", "", 1).isdigit() else value
    return Fault(kind, **values)  # type: ignore[arg-type]


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers.materials_project", description=__doc__)
    parser.add_argument("--materials", type=int, default=200, help="summary documents (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (%(default)s)")
    parser.add_argument("--max-sites", type=int, default=28, help="largest cell, 8 for quick screens")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one (%(default)s)")
    parser.add_argument("--key", default=KEY, help="the API key that is let in")
    parser.add_argument("--db-version", default=World.db_version, help="as the heartbeat states it")
    parser.add_argument(
        "--fault", type=read_fault, action="append", default=[], metavar="KIND[,NAME=VALUE...]",
        help=f"{', '.join(KINDS)}; e.g. status,status=429,times=3,retry_after=1 or hang,seconds=30,page=last",
    )  # fmt: skip
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> None:
    """Serve until Ctrl-C."""
    args = arguments(given)
    world = World(args.materials, args.seed, args.max_sites, args.db_version)
    with serving(world, key=args.key, port=args.port, faults=Faults(faults=args.fault)) as server:
        print(f"{args.materials} materials at {server.endpoint}; Ctrl-C ends. In another shell:")  # noqa: T201
        print(f"export LIHOP_MP_ENDPOINT={server.endpoint} LIHOP_MP_API_KEY={args.key}")  # noqa: T201
        print("export NO_PROXY=127.0.0.1", flush=True)  # noqa: T201
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("stopped")  # noqa: T201


if __name__ == "__main__":
    main()
