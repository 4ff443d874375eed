"""Bench `hops`: the hop network of each reference structure, beside pymatgen-analysis-diffusion."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from flows.bench.measure import OURS, BenchResult, Case, MissingPeerError, Timing, Unit, alternate, summarise
from flows.bench.structures import WORKING_ION, Material, reference_materials
from tasks.hops.network import SHELL_TOLERANCE_ANG, hop_network
from tasks.hops.symmetry import DEFAULT_SYMPREC_ANG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sized

    from flows.bench.measure import BenchSettings

CUTOFF_ANG = 5.0
PEER_LIMIT_S = 2.0
PATH_FINDER, GRAPH = "DistinctPathFinder", "MigrationGraph"
REMEDY = "pip install pymatgen-analysis-diffusion, or make install"


def bench(settings: BenchSettings) -> BenchResult:
    """Time the search for symmetry-distinct hops within 5 Å and compare their number.

    Raises
    ------
    MissingPeerError
        When pymatgen-analysis-diffusion is not installed.
    """
    load_peers()
    materials = list(reference_materials(settings.limit))
    cases, counts, unfinished = [], {}, []
    for material in materials:
        with warnings.catch_warnings():
            # The peers use calls that their own libraries call outdated.
            warnings.simplefilter("ignore")
            found = alternate(sides(material), repeats=settings.repeats, limit_s=PEER_LIMIT_S)
        number = {side: count_of(side, timing) for side, timing in found.items()}
        finished = {count for count in number.values() if count is not None}
        seconds = {side: timing.seconds for side, timing in found.items()}
        cases.append(Case(material.name, 1.0, seconds, len(finished) == 1))
        counts[material.name] = number
        unfinished += [f"{side} on {material.name}" for side, count in number.items() if count is None]
    return summarise(
        "hops",
        cases,
        Unit("ms/structure"),
        details={
            "hops": sum(number[OURS] or 0 for number in counts.values()),
            "differing": differing(counts),
        },
        notes=_notes(unfinished),
    )


def load_peers() -> tuple[Any, Any]:
    """Return the two classes that are compared with."""
    try:
        with warnings.catch_warnings():
            # What these packages say on import is about their own use of others.
            warnings.simplefilter("ignore")
            from pymatgen.analysis.diffusion.neb.full_path_mapper import MigrationGraph
            from pymatgen.analysis.diffusion.neb.pathfinder import DistinctPathFinder
    except ImportError as error:
        raise MissingPeerError(
            f"bench hops: pymatgen-analysis-diffusion is not installed ({error}); {REMEDY}"
        ) from error
    return DistinctPathFinder, MigrationGraph


def sides(material: Material) -> dict[str, Callable[[], Any]]:
    """Return the call of each side, on one structure."""
    finder, graph = load_peers()
    structure = material.structure
    return {
        OURS: lambda: hop_network(structure, WORKING_ION, cutoff_ang=CUTOFF_ANG).hops,
        PATH_FINDER: lambda: finder(
            structure, WORKING_ION, max_path_length=CUTOFF_ANG, symprec=DEFAULT_SYMPREC_ANG
        ).get_paths(),
        GRAPH: lambda: graph.with_distance(structure, WORKING_ION, CUTOFF_ANG, symprec=DEFAULT_SYMPREC_ANG),
    }


def count_of(side: str, timing: Timing) -> int | None:
    """Return how many distinct hops up to the cutoff a side found; None when it did not finish."""
    if timing.seconds is None:
        return None
    if side == PATH_FINDER:
        # It adds 0.01 Å to the cutoff that it is given.
        lengths: list[float] = [path.length for path in timing.result]
        return sum(length <= CUTOFF_ANG + SHELL_TOLERANCE_ANG for length in lengths)
    found: Sized = timing.result.unique_hops if side == GRAPH else timing.result
    return len(found)


def differing(counts: dict[str, dict[str, int | None]]) -> list[str]:
    """Return the structures on which the sides that finished disagree, with what each found."""
    return [
        f"{name} ({', '.join(f'{side} {count}' for side, count in number.items())})"
        for name, number in counts.items()
        if len({count for count in number.values() if count is not None}) > 1
    ]


def _notes(unfinished: Iterable[str]) -> list[str]:
    left_out = ", ".join(unfinished)
    return [
        f"cutoff {CUTOFF_ANG:g} Å on both sides, on the cleaned primitive cells; {PATH_FINDER} adds 0.01 Å, "
        "so its paths beyond the cutoff are not counted",
        f"stopped after {PEER_LIMIT_S:g} s and left out of that peer's figures: {left_out or 'nothing'}",
    ]
