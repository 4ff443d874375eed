"""What tests hand to other processes: apart, so that a spawned process need not import torch for it."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from tasks.candidates.files import FilesSource

if TYPE_CHECKING:
    from tasks.candidates.source import RawMaterial, Rejected, SourceItem


def double(value: int) -> int:
    if value < 0:
        raise ValueError(f"{value} is negative")
    return 2 * value


def own_id(_payload: object) -> int:
    return os.getpid()


def die(_payload: object) -> None:
    """Kill this very process, as the kernel does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def heed_interrupts() -> None:
    """Undo what a background job inherits: there SIGINT is ignored, and no Ctrl-C would ever arrive."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class LethalSource(FilesSource):
    """Files, of which some kill whoever reads them."""

    def read(self, item: SourceItem) -> list[RawMaterial | Rejected]:
        if "lethal" in item.item_id:
            die(item)
        return super().read(item)
