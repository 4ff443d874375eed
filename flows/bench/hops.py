"""Bench `hops`: the hop network of each reference structure, beside pymatgen-analysis-diffusion."""

from __future__ import annotations

import warnings
from itertools import combinations
from typing import TYPE_CHECKING, Any

from flows.bench.measure import OURS, BenchResult, Case, MissingPeerError, Timing, Unit, alternate, summarise
from flows.bench.structures import WORKING_ION, Material, reference_materials
from tasks.hops.network import SHELL_TOLERANCE_ANG, hop_network
from tasks.hops.symmetry import DEFAULT_SYMPREC_ANG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flows.bench.measure import BenchSettings

CUTOFF_ANG = 5.0
PEER_LIMIT_S = 10.0
LENGTH_TOLERANCE_ANG = 1e-3
PATH_FINDER, GRAPH = "DistinctPathFinder", "MigrationGraph"
REMEDY = "pip install pymatgen-analysis-diffusion, or make install"


def bench(settings: BenchSettings) -> BenchResult:
    """Time the search for symmetry-distinct hops within 5 Å and compare their number and lengths.

    Raises
    ------
    MissingPeerError
        When pymatgen-analysis-diffusion is not installed.
    """
    load_peers()
    materials = list(reference_materials(settings.limit))
    cases, lengths, unfinished = [], {}, []
    for material in materials:
        with warnings.catch_warnings():
            # The peers use calls that their own libraries call outdated.
            warnings.simplefilter("ignore")
            found = alternate(sides(material), repeats=settings.repeats, limit_s=PEER_LIMIT_S)
            lengths[material.name] = {side: lengths_of(side, timing) for side, timing in found.items()}
        seconds = {side: timing.seconds for side, timing in found.items()}
        cases.append(Case(material.name, 1.0, seconds, not differing({"": lengths[material.name]})))
        unfinished += [
            f"{side} on {material.name}" for side, timing in found.items() if timing.result is None
        ]
    return summarise(
        "hops",
        cases,
        Unit("ms/structure"),
        details={
            "hops": sum(len(some[OURS] or ()) for some in lengths.values()),
            "largest_length_difference_ang": max(_largest_difference(some) for some in lengths.values()),
            "differing": differing(lengths),
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


def lengths_of(side: str, timing: Timing) -> list[float] | None:
    """Return the ascending lengths of the distinct hops that a side found; None when it did not finish.

    Our divacancy hops are left out: the peers list hops of an isolated vacancy alone.
    """
    if timing.seconds is None:
        return None
    if side == PATH_FINDER:
        # It adds 0.01 Å to the cutoff that it is given.
        found = [path.length for path in timing.result]
        return sorted(length for length in found if length <= CUTOFF_ANG + SHELL_TOLERANCE_ANG)
    if side == GRAPH:
        return sorted(hop["hop_distance"] for hop in timing.result.unique_hops.values())
    return sorted(hop.distance_ang for hop in timing.result if hop.mechanism == "isolated")


def differing(lengths: dict[str, dict[str, list[float] | None]]) -> list[str]:
    """Return the structures on which the sides that finished disagree, with how many hops each found."""
    wrong = []
    for name, some in lengths.items():
        if len({len(found) for found in some.values() if found is not None}) > 1:
            counts = (f"{side} {None if found is None else len(found)}" for side, found in some.items())
            wrong.append(f"{name} ({', '.join(counts)})")
        elif _largest_difference(some) > LENGTH_TOLERANCE_ANG:
            wrong.append(f"{name} (lengths by {_largest_difference(some):.4f} Å)")
    return wrong


def _largest_difference(some: dict[str, list[float] | None]) -> float:
    """Return by how much the lengths of sides that found equally many differ at most, in Å."""
    finished = [found for found in some.values() if found is not None]
    pairs = [(a, b) for a, b in combinations(finished, 2) if len(a) == len(b)]
    return max((abs(x - y) for a, b in pairs for x, y in zip(a, b, strict=True)), default=0.0)


def _notes(unfinished: Iterable[str]) -> list[str]:
    left_out = ", ".join(unfinished)
    return [
        f"cutoff {CUTOFF_ANG:g} Å and symprec {DEFAULT_SYMPREC_ANG:g} Å on all sides, on the cleaned "
        f"primitive cells; {PATH_FINDER} adds 0.01 Å, so its paths beyond the cutoff are not counted",
        f"stopped after {PEER_LIMIT_S:g} s and left out of that peer's figures: {left_out or 'nothing'}",
    ]
