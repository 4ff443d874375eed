"""Where barriers are predicted: in this process, or batch groups at a time by somebody who has a GPU."""

from __future__ import annotations

import contextvars
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence
    from concurrent.futures import Future

    from tasks.workers import Batch

GROUP = 64
"""Batches that are sent away together: a process with torch takes seconds to start."""


class PredictParameters(BaseModel):
    """Parameters of `predict-barriers`: batches that were featurized, and what predicts their barriers."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="Predict barriers")

    folder: str = Field(
        title="Results folder",
        description="Where the batches lie and predictions go: the same for whoever sends them and for us.",
    )
    stems: tuple[str, ...] = Field(
        min_length=1, title="Batches", description="Names of batches in the folder that have descriptors."
    )
    model: str = Field(
        default="production",
        title="Model",
        description="Name of a shipped checkpoint, or the folder of one of your own.",
    )
    model_digest: str = Field(
        min_length=1, title="Digest", description="Digest of the model: another one of that name is refused."
    )


class ElsewhereError(RuntimeError):
    """What was asked for was not done elsewhere; the message says why, and it can be done here."""


class CancelledElsewhereError(ElsewhereError):
    """Somebody cancelled it there."""


class Elsewhere(Protocol):
    """Predicts barriers of batches somewhere else."""

    def give_up(self) -> None:
        """Stop what is under way: nobody waits for it any more."""

    def __call__(self, asked: PredictParameters) -> None:
        """Predict and wait; the shards are in the folder then.

        Raises
        ------
        ElsewhereError
            When nobody is there, or it failed.
        """


def in_groups(
    batches: Iterable[Batch],
    elsewhere: Elsewhere,
    ask: Callable[[tuple[str, ...]], PredictParameters],
    size: int = GROUP,
) -> Generator[tuple[Sequence[Batch], ElsewhereError | None]]:
    """Send batches away in groups while more come, one group at a time.

    Parameters
    ----------
    batches : iterable of Batch
        As they are featurized; drawn in the caller's thread.
    elsewhere : Elsewhere
        Predicts.
    ask : callable
        Returns what is asked for, of the names of a group's batches.
    size : int
        Most batches of a group. A group is smaller when nothing more comes.

    Yields
    ------
    sequence of Batch
        A group whose turn is over.
    ElsewhereError or None
        Why it was not predicted, or None.
    """
    waiting: list[Batch] = []
    sent: list[Batch] = []
    answer: Future[None] | None = None
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="lihop-elsewhere") as thread:

        def send() -> Future[None]:
            nonlocal sent
            sent, waiting[:] = waiting[:size], waiting[size:]
            group = ask(tuple(batch.stem for batch in sent))
            # What Prefect knows of the run that asks lies in the context.
            return thread.submit(contextvars.copy_context().run, elsewhere, group)

        try:
            for batch in batches:
                waiting.append(batch)
                if answer is not None and answer.done():
                    yield sent, _why_not(answer)
                    answer = None
                if answer is None and len(waiting) >= size:
                    answer = send()
            while answer is not None or waiting:
                if answer is None:
                    answer = send()
                yield sent, _why_not(answer)
                answer = None
        except BaseException:
            # An interrupt, say. Leaving the body would otherwise wait for what nobody wants any more.
            elsewhere.give_up()
            raise


def _why_not(answer: Future[None]) -> ElsewhereError | None:
    """Wait for a group; return why it was not predicted, if so."""
    try:
        answer.result()
    except ElsewhereError as error:
        return error
    return None
