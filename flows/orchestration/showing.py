"""How far a flow run is, in the Prefect UI: a progress artifact a stage, and messages in the run's log."""

from __future__ import annotations

import re
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.logging import get_run_logger

from flows.progress import Together, reporter, reporting

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator

    from prefect.client.orchestration import SyncPrefectClient

INTERVAL_S, LONGEST_INTERVAL_S = 2.0, 10.0
"""A stage's artifact changes no more often than this, and once more at the end; less and less often as a run
goes on, whose steps are smaller: each change costs the server what it costs to note a task run."""

PART = 1 / 20
"""The part of the time so far that passes until the next change, between these two."""

LOOK_S = 0.5
"""How often it is looked whether there is something to show."""

AFTER_FAILURE_S = 15.0
"""How long an API that did not answer is left alone."""

LAST_WORD_S = 10.0
"""How long a run that is over waits for an API to take in how far it got."""


class Artifacts(Protocol):
    """Where progress artifacts go."""

    def create(self, key: str, percent: float, text: str) -> UUID:
        """Make an artifact and return its identifier."""

    def update(self, artifact: UUID, percent: float, text: str) -> None:
        """Change an artifact."""

    def close(self) -> None:
        """Let go of what was opened."""


class RunArtifacts:
    """Artifacts of one flow run, by Prefect's API, over one connection that is made when it is needed.

    Parameters
    ----------
    run : UUID
        The flow run.
    """

    def __init__(self, run: UUID) -> None:
        self.run = run
        self._opened = ExitStack()
        self._client: SyncPrefectClient | None = None

    def create(self, key: str, percent: float, text: str) -> UUID:
        """Make an artifact and return its identifier."""
        asked = ArtifactCreate(key=key, type="progress", description=text, data=percent, flow_run_id=self.run)
        return self._api().create_artifact(asked).id

    def update(self, artifact: UUID, percent: float, text: str) -> None:
        """Change an artifact."""
        self._api().update_artifact(artifact, ArtifactUpdate(data=percent, description=text))

    def close(self) -> None:
        """Close the connection."""
        self._opened.close()

    def _api(self) -> SyncPrefectClient:
        if self._client is None:
            self._client = self._opened.enter_context(get_client(sync_client=True))
        return self._client


@dataclass
class _Stage:
    """How far a stage is, and what people have been shown of it."""

    name: str
    total: int = 0
    done: int = 0
    shown: tuple[int, int] | None = None
    artifact: UUID | None = None
    next_at: float = float("-inf")

    def is_due(self, now: float, *, last: bool) -> bool:
        """Tell whether there is something to show, and whether it is time to. Nothing to do is not shown."""
        news = self.shown != (self.done, self.total) and (self.total > 0 or self.artifact is not None)
        return news and (last or now >= self.next_at)


class ProgressArtifacts:
    """Shows progress as artifacts, from a thread of its own: a run never waits for the API, nor fails by it.

    Parameters
    ----------
    artifacts : Artifacts
        Where they go.
    log : logging.Logger or logging.LoggerAdapter
        The run's log, which takes messages.
    unit : str
        What is counted, for people.
    clock : callable
        Returns seconds.
    """

    def __init__(
        self,
        artifacts: Artifacts,
        log: logging.Logger | logging.LoggerAdapter[logging.Logger],
        *,
        unit: str = "materials",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._artifacts = artifacts
        self._log = log
        self._unit = unit
        self._clock = clock
        self._lock = threading.Lock()
        self._stages: dict[str, _Stage] = {}
        self._silent_until: float | None = None
        self._begun = clock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_showing, name="lihop-progress", daemon=True)

    def stage(self, name: str, total: int) -> None:
        """Start a stage; one of that name begins anew, in the artifact that it has."""
        with self._lock:
            known = self._stages.setdefault(name, _Stage(name))
            known.total, known.done = total, 0

    def advance(self, name: str, count: int) -> None:
        """Move a stage on."""
        with self._lock:
            self._stages[name].done += count

    def message(self, text: str) -> None:
        """Write it to the run's log."""
        self._log.info(text)

    def warning(self, text: str) -> None:
        """Write it to the run's log, as a warning."""
        self._log.warning(text)

    def start(self) -> None:
        """Begin to show."""
        self._thread.start()

    def close(self) -> None:
        """Show how far it got, and end."""
        self._over.set()
        self._thread.join(LAST_WORD_S)

    def show(self, *, last: bool = False) -> None:
        """Show what is due: what changed, and was not changed a moment ago.

        Parameters
        ----------
        last : bool
            Whether all that changed is due.
        """
        now = self._clock()
        if self._silent_until is not None and now < self._silent_until and not last:
            return
        with self._lock:
            due = [(stage, stage.done, stage.total) for stage in self._stages.values()
                   if stage.is_due(now, last=last)]  # fmt: skip
        for stage, done, total in due:
            stage.next_at = now + interval_s(now - self._begun)
            if not self._send(stage, done, total):
                return

    def _send(self, stage: _Stage, done: int, total: int) -> bool:
        """Show how far a stage is; return whether the API took it."""
        text = f"{stage.name.capitalize()}: {done} of {total} {self._unit}".rstrip()
        # Nothing to do is all done; an index may hold more than its database had said.
        percent = 100.0 if total <= 0 else min(100.0, round(100.0 * done / total, 1))
        try:
            if stage.artifact is None:
                stage.artifact = self._artifacts.create(_key(stage.name), percent, text)
            else:
                self._artifacts.update(stage.artifact, percent, text)
        except Exception as error:  # noqa: BLE001 - whatever it is, a run is not to fail by what it shows
            if self._silent_until is None:
                self._log.warning("Progress cannot be shown, and the run goes on: %s", _in_words(error))
            self._silent_until = self._clock() + AFTER_FAILURE_S
            return False
        self._silent_until = None
        stage.shown = (done, total)
        return True

    def _keep_showing(self) -> None:
        try:
            while not self._over.wait(LOOK_S):
                self.show()
            self.show(last=True)
        finally:
            self._artifacts.close()


def interval_s(elapsed_s: float) -> float:
    """Return how long (s) an artifact stays as it is, so long (s) after the run began.

    Parameters
    ----------
    elapsed_s : float
        Time since then.
    """
    return min(max(INTERVAL_S, PART * elapsed_s), LONGEST_INTERVAL_S)


@contextmanager
def shown_in_prefect(unit: str = "materials") -> Iterator[None]:
    """Show progress and messages of the flow run that this is called in, beside whoever is told already.

    Parameters
    ----------
    unit : str
        What is counted, for people.
    """
    from prefect.runtime import flow_run

    shown = ProgressArtifacts(RunArtifacts(UUID(flow_run.id)), get_run_logger(), unit=unit)
    shown.start()
    try:
        with reporting(Together(reporter(), shown)):
            yield
    finally:
        shown.close()


def _key(stage: str) -> str:
    """Return the key of a stage's artifact, which Prefect takes in lower case and dashes."""
    return f"progress-{re.sub(r'[^a-z0-9]+', '-', stage.lower()).strip('-')}"


def _in_words(error: Exception) -> str:
    """Return the first line of an error, or its kind where it says nothing."""
    return str(error).split("\n", maxsplit=1)[0] or type(error).__name__
