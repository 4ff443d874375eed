"""Which benches there are, and how one is run by name."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, cast

from flows.bench.measure import BenchError

if TYPE_CHECKING:
    from collections.abc import Callable

    from flows.bench.measure import BenchResult, BenchSettings

BENCHES = {
    "hops": "hop networks of the reference structures, beside pymatgen-analysis-diffusion",
    "paths": "relaxed paths of reference hops, beside ASE's NEB with ions",
    "descriptors": "descriptors of a hop, beside ripser alone and the featurizer of ions",
    "prediction": "Lightning's Trainer.predict, beside a plain forward pass",
    "storage": "recording generated results, beside plain DuckDB",
    "orchestration": "the Prefect flow, beside the same functions run plainly",
    "memory": "memory of a screening's process, beside one of a tenth as many materials",
    # Last: outside a clone of the repository it cannot run.
    "sync": "documents a second from the Materials Project's protocol, beside the plain client's search",
}
"""Names, and what each measures. The module of the name in this package has a function `bench`."""


REPEATS = {"orchestration": 5}
"""Rounds of a bench whose sides differ by less than single runs do."""

BRIEF = {"orchestration": 32, "memory": 40}
"""Most structures of a bench that takes hours, when it is one of all."""


def usual(name: str, settings: BenchSettings, repeats: int | None, *, brief: bool) -> BenchSettings:
    """Return settings with the usual number of rounds and structures of a bench, where none was asked for.

    Parameters
    ----------
    name : str
        The bench.
    settings : BenchSettings
        What was asked for.
    repeats : int or None
        Rounds that were asked for.
    brief : bool
        Whether all benches are run.
    """
    rounds = REPEATS.get(name, settings.repeats) if repeats is None else repeats
    limit = BRIEF.get(name) if brief and settings.limit is None else settings.limit
    return replace(settings, repeats=rounds, limit=limit)


def check_name(name: str) -> None:
    """Refuse a name that no bench has.

    Raises
    ------
    BenchError
        With the names that there are.
    """
    if name not in BENCHES:
        raise BenchError(f"no bench is called {name!r}; there are {', '.join(BENCHES)}")


def run_bench(name: str, settings: BenchSettings) -> BenchResult:
    """Run one bench.

    Raises
    ------
    BenchError
        When there is no such bench, its peer is not installed, or there is nothing to measure.
    """
    check_name(name)
    # Imported by name: a bench loads torch, ripser or Prefect, and nobody waits for those of another.
    bench = cast("Callable[[BenchSettings], BenchResult]", import_module(f"flows.bench.{name}").bench)
    return bench(settings)
