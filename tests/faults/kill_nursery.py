"""Commands without the wait for their imports: a process that forks one of `lihop` for each line it reads.

A line is JSON: a folder and the arguments. The fork is a session of its own with its output in `said.txt` of
the folder. It has imported everything already and opened nothing; the processes of its pool are spawned by
itself, as ever. Its parent prints its number, and how it ended when it has.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from pathlib import Path

SAID = "said.txt"
STARTED, ENDED = "started", "ended"
"""What a line of the answer is about: an exit code that nobody read is not to be taken for a process."""


def live(folder: Path, arguments: list[str]) -> None:
    """Be the fork."""
    from flows.cli.main import main as lihop

    os.setsid()
    said = os.open(folder / SAID, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(said, stream)
    sys.argv = ["lihop", *arguments]
    code = 0
    try:
        lihop()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    # Here and not above: a process of the pool imports this file too.
    for name in ("flows.campaign", "flows.cli.main", "models.checkpoints"):
        importlib.import_module(name)

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            try:
                live(Path(asked["folder"]), asked["arguments"])
            finally:
                os._exit(70)
        _say(STARTED, child)
        _, status = os.waitpid(child, 0)
        _say(ENDED, os.waitstatus_to_exitcode(status))


def _say(what: str, number: int) -> None:
    sys.stdout.write(f"{what} {number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
