"""What other packages say of a structure's hops, each asked in a process of its own that can be stopped."""

from __future__ import annotations

import importlib
import math
import multiprocessing
import resource
import signal
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from pymatgen.core import Structure

SYMPREC_ANG = 0.01
"""The tolerance that lihop takes, given to the peers too; their own default is 0.1 Å."""

LIMIT_S = 60
"""Processor time that a peer may take over a structure, so that the load of the machine decides nothing."""

PATIENCE = 20
"""How many times longer, by the clock, is waited before a process counts as stuck."""

WORKERS = 2

Key = tuple[str, str]
"""A structure's name and a peer's."""

Question = tuple[str, "Structure", str, float]
"""The peer's name, the structure, its ion and the cutoff in Å."""


@dataclass(frozen=True)
class Answer:
    """A peer's symmetry-distinct hops by their lengths, ascending, or why there are none."""

    outcome: Literal["answered", "timed out", "failed"]
    lengths_ang: tuple[float, ...] = ()
    message: str = ""


def distinct_path_finder(structure: Structure, ion: str, cutoff_ang: float) -> list[float]:
    """Lengths by pymatgen-analysis-diffusion's `DistinctPathFinder`."""
    from pymatgen.analysis.diffusion.neb.pathfinder import DistinctPathFinder

    finder = DistinctPathFinder(structure, ion, max_path_length=cutoff_ang, symprec=SYMPREC_ANG)
    return [hop.length for hop in finder.get_paths()]


def migration_graph(structure: Structure, ion: str, cutoff_ang: float) -> list[float]:
    """Lengths by pymatgen-analysis-diffusion's `MigrationGraph`."""
    from pymatgen.analysis.diffusion.neb.full_path_mapper import MigrationGraph

    graph = MigrationGraph.with_distance(structure, ion, cutoff_ang, symprec=SYMPREC_ANG)
    return [hop["hop_distance"] for hop in graph.unique_hops.values()]


PEERS: dict[str, Callable[[Structure, str, float], list[float]]] = {
    "DistinctPathFinder": distinct_path_finder,
    "MigrationGraph": migration_graph,
}


def ask(questions: Mapping[Key, Question], limit_s: int = LIMIT_S) -> dict[Key, Answer]:
    """Put questions to the peers, two at a time.

    Each of two threads has a process that answers; one that takes too long is ended and another started. The
    time to start counts for nothing.
    """
    waiting: SimpleQueue[tuple[Key, Question]] = SimpleQueue()
    for item in questions.items():
        waiting.put(item)
    answers: dict[Key, Answer] = {}

    def work() -> None:
        with _Respondent() as respondent:
            while True:
                try:
                    key, question = waiting.get_nowait()
                except Empty:
                    return
                answers[key] = respondent.answer(question, limit_s)

    with ThreadPoolExecutor(WORKERS) as pool:
        for done in [pool.submit(work) for _ in range(min(WORKERS, len(questions)))]:
            done.result()
    return {key: answers[key] for key in questions}


class _Respondent:
    """A process that answers one question at a time."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._process: BaseProcess | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def answer(self, question: Question, limit_s: int) -> Answer:
        """Wait for the answer, for a limited time."""
        if self._process is None:
            self._start()
        self._pipe.send((question, limit_s))
        try:
            if self._pipe.poll(PATIENCE * LIMIT_S):
                answer: Answer = self._pipe.recv()
                return answer
        except EOFError:
            self._process.join()
            over = self._process.exitcode == -signal.SIGXCPU
            exitcode = self._process.exitcode
            self._stop()
            if over:
                return Answer("timed out", message=f"more than {limit_s} s")
            return Answer("failed", message=f"its process ended with {exitcode}")
        self._stop()
        return Answer("failed", message="stuck")

    def _start(self) -> None:
        self._pipe, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_respond, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._process = None


def _respond(pipe: Connection) -> None:
    """Answer what comes through the pipe until it is closed."""
    # The peers use calls that their own libraries call outdated; that is not ours to judge.
    warnings.simplefilter("ignore")
    for module in ("pathfinder", "full_path_mapper"):
        importlib.import_module(f"pymatgen.analysis.diffusion.neb.{module}")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while True:
        try:
            (peer, structure, ion, cutoff_ang), limit_s = pipe.recv()
        except EOFError:
            return
        # The system ends a process that has taken more: also one that is deep in compiled code.
        _, most_s = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time()) + limit_s, most_s))
        try:
            answer = Answer("answered", tuple(sorted(PEERS[peer](structure, ion, cutoff_ang))))
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in a peer is its answer
            answer = Answer("failed", message=f"{type(error).__name__}: {error}")
        pipe.send(answer)
