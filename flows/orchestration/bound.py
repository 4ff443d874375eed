"""`python -m flows.orchestration.bound MODULE ...` runs a module that ends when who started it is gone.

Whoever starts it gives it the end of a pipe as its standard input, never sends anything, and keeps the other
end open. The kernel closes that end when its holder ends, also by `kill -9`, of which nobody else would tell.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

GRACE_S = 40.0
"""How long the module has to end by itself: longer than a worker of Prefect gives the runs that it ends."""


def main() -> None:
    """Be the module that the arguments name."""
    alive = os.dup(0)
    # What the module starts has nothing to read, as it would have from a service.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_end_with, args=(alive,), name="bound", daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with(alive: int) -> None:
    """End this process once nobody holds the other end: as when asked, or by force with all below it."""
    os.read(alive, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    from flows.orchestration.processes import Below

    below = Below()
    below.look(os.getpid())
    below.kill()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
