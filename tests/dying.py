"""Points at which a screening may be killed: around a transaction, a content file or a fetch."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import storage.entries
from flows.campaign import run_campaign, screen
from flows.parameters import ScreenParameters
from storage.recorder import Recorder
from tasks.candidates.materials_project import MaterialsProjectSource
from tests.campaigns import RecordingSteps

if TYPE_CHECKING:
    from collections.abc import Callable

SYNCING = ("fetch", "write_content")
RECORDING = ("record", "publish")
OWNERS = {
    "fetch": MaterialsProjectSource,
    "write_content": storage.entries,
    "record": Recorder,
    "publish": Recorder,
}
EVERYWHERE = tuple(OWNERS)


@dataclass
class Points:
    """Counts points of some calls, and kills this process at the last one; 0 for never."""

    last: int = 0
    calls: tuple[str, ...] = EVERYWHERE
    by_call: dict[str, int] = field(default_factory=dict)

    @property
    def seen(self) -> int:
        return sum(self.by_call.values())

    def watch(self, patch: Callable[[Any, str, Any], None] = setattr) -> Points:
        """Count in everything that is watched."""
        for name in self.calls:
            patch(OWNERS[name], name, self._watched(name, getattr(OWNERS[name], name)))
        return self

    def _watched(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*given: Any, **named: Any) -> Any:
            self._point(name)
            result = call(*given, **named)
            self._point(name)
            return result

        return wrapped

    def _point(self, name: str) -> None:
        self.by_call[name] = self.by_call.get(name, 0) + 1
        if self.seen == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


def main(parameters: str, last: str, *calls: str) -> None:
    """Screen as asked until the point comes: in this process, or with several workers over a pool."""
    asked = ScreenParameters(**json.loads(parameters))
    Points(int(last), calls or EVERYWHERE).watch()
    if asked.workers > 1:
        screen(asked)
    else:
        run_campaign(asked, RecordingSteps())


if __name__ == "__main__":
    main(*sys.argv[1:])
