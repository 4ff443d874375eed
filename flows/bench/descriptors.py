"""Bench `descriptors`: each group, and all together, beside bare ripser and the `EdgeFeaturizer` of `ions`.

The bound that descriptors are held to is printed with them: twice bare ripser plus 5 ms a hop,
and 50 ms a hop at the median.
"""

from __future__ import annotations

import warnings
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.io.ase import AseAtomsAdaptor
from ripser import ripser

from flows.bench.described import timed_hops
from flows.bench.ions_neb import REMEDY
from flows.bench.measure import OURS, Case, MissingPeerError, Unit, alternate, summarise
from tasks.descriptors.assemble import describe
from tasks.descriptors.chemistry import chemistry
from tasks.descriptors.local import local
from tasks.descriptors.persistence import bars_of
from tasks.descriptors.profile import channels, profile
from tasks.descriptors.scene import survey
from tasks.descriptors.topology import rips_inputs, topology

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flows.bench.described import TimedHop
    from flows.bench.measure import BenchResult, BenchSettings, Timing
    from tasks.descriptors.topology import RipsInput

RIPSER = "ripser"
PEER = "ions EdgeFeaturizer"
SHARED = "roles, distances and channels"
HOPS = 64
BOUND_MS = 50.0
BOUND_FACTOR, BOUND_MORE_MS = 2.0, 5.0


def bench(settings: BenchSettings) -> BenchResult:
    """Time the descriptors of a hop beside the bare persistence calculations in them and beside the peer."""
    featurizer = _featurizer()
    words, hops = timed_hops(HOPS if settings.limit is None else settings.limit)
    cases: list[Case] = []
    found: list[dict[str, Timing]] = []
    failed: list[str] = []
    for hop in hops:
        calls = sides(hop)
        peer = partial(_peer, featurizer, hop)
        if _works(peer):
            calls[PEER] = peer
        else:
            failed.append(hop.name)
        timings = alternate(calls, repeats=settings.repeats)
        found.append(timings)
        seconds = {side: timings[side].seconds if side in timings else None for side in (OURS, RIPSER, PEER)}
        cases.append(Case(hop.name, 1.0, seconds, count_bars(hop) == timings[RIPSER].result))
    return summarise(
        "descriptors",
        cases,
        Unit("ms/hop"),
        details={**_groups(found), **_bound(found), "the peer fails on": failed or "none"},
        notes=[
            f"{words}, with their relaxed paths, on one core; ripser is timed on the very clouds, dimensions "
            "and thresholds of the group `topology`, from ready distance matrices; counts are its bars",
            f"a ratio of 0.5 means that all groups take twice the time of ripser alone; `{PEER}` describes a "
            "straight hop by Voronoi cells, with neither homology nor bond valences; its cells are turned to "
            "lower triangular form, without which it runs out of memory on some",
        ],
    )


def sides(hop: TimedHop) -> dict[str, Callable[[], Any]]:
    """Return the calls to time: all groups, ripser alone, and each group from what they share."""
    env = hop.environment
    scene = survey(env)
    image = channels(scene)
    given = rips_inputs(scene)
    return {
        OURS: partial(describe, env),
        RIPSER: lambda: [bare_ripser(cloud) for cloud in given],
        SHARED: lambda: channels(survey(env)),
        "local": partial(local, env, scene, image),
        "profile": partial(profile, env, scene, image),
        "topology": partial(topology, env, scene),
        "chemistry": partial(chemistry, env, scene),
    }


def bare_ripser(given: RipsInput) -> list[int]:
    """Return the number of bars of each dimension that ripser finds, without the one that never dies."""
    diagrams = ripser(
        given.distances_ang, maxdim=given.max_dimension, thresh=given.threshold_ang, distance_matrix=True
    )["dgms"]
    return [len(bars) - (dimension == 0) for dimension, bars in enumerate(diagrams)]


def count_bars(hop: TimedHop) -> list[list[int]]:
    """Return the same numbers as the descriptors have them."""
    return [
        [len(bars) for bars in bars_of(given.distances_ang, given.max_dimension, given.threshold_ang)]
        for given in rips_inputs(survey(hop.environment))
    ]


def _groups(found: Sequence[dict[str, Timing]]) -> dict[str, Any]:
    """Return the median time of each group."""
    names = [SHARED, "local", "profile", "topology", "chemistry"]
    return {"of which (ms/hop)": {name: median(_ms(one[name]) for one in found) for name in names}}


def _bound(found: Sequence[dict[str, Timing]]) -> dict[str, Any]:
    """Return the bounds, and how many hops keep them."""
    ours = np.array([_ms(one[OURS]) for one in found])
    allowed = BOUND_FACTOR * np.array([_ms(one[RIPSER]) for one in found]) + BOUND_MORE_MS
    return {
        "twice ripser + 5 ms (ms/hop)": float(np.median(allowed)),
        "hops within it": f"{int((ours <= allowed).sum())} of {len(ours)}",
        "hops within 50 ms": f"{int((ours <= BOUND_MS).sum())} of {len(ours)}",
        "slowest hop (ms)": float(ours.max()),
    }


def _ms(timing: Timing) -> float:
    """Return a time of ours in ms; our own sides have no time limit."""
    return 1000.0 * (float("nan") if timing.seconds is None else timing.seconds)


def _featurizer() -> Any:  # noqa: ANN401 - theirs
    """Return the peer's classes."""
    try:
        with warnings.catch_warnings():
            # What it says on import is about its own use of others.
            warnings.simplefilter("ignore")
            from ions.edge import Edge
            from ions.featurizers.edge_featurizer import EdgeFeaturizer
    except ImportError as error:
        raise MissingPeerError(f"bench descriptors: ions is not installed ({error}); {REMEDY}") from error
    return Edge, EdgeFeaturizer


def _peer(classes: Any, hop: TimedHop) -> dict[str, float]:  # noqa: ANN401 - theirs
    """Describe a hop as the peer does, from its atoms object on."""
    edge, featurizer = classes
    atoms = AseAtomsAdaptor.get_atoms(hop.structure)
    # It repeats the cell by the diagonal of its matrix, which is near 0 for some orientations of a crystal:
    # then it asks for millions of atoms. In lower triangular form the diagonal is what it takes it for.
    atoms.set_cell(atoms.cell.standard_form()[0], scale_atoms=True)
    found: dict[str, float] = featurizer(edge(atoms, hop.i, hop.j, np.array(hop.image))).featurize()
    return found


def _works(call: Callable[[], object]) -> bool:
    """Say whether the peer gets through: on some hops two atoms tie and it loses count."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            call()
        except Exception:  # noqa: BLE001 - whatever a peer stumbles over, the bench says that it did
            return False
    return True
