"""Bench `descriptors`: each group, and all together, for hops of the reference set, beside ripser alone."""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

from ripser import ripser
from scipy.spatial.distance import pdist, squareform

from flows.bench.measure import OURS, Case, Unit, alternate, summarise
from flows.bench.structures import reference_hops
from tasks.descriptors.assemble import describe
from tasks.descriptors.chemistry import chemistry
from tasks.descriptors.local import local
from tasks.descriptors.profile import channels, profile
from tasks.descriptors.scene import survey
from tasks.descriptors.topology import MIN_POINTS, THRESHOLD_ANG, clouds, persistence, topology

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from flows.bench.measure import BenchResult, BenchSettings
    from tasks.hops.path import HopEnvironment

RIPSER = "ripser"
HOPS = 32
SHARED = "roles, distances and channels"


def bench(settings: BenchSettings) -> BenchResult:
    """Time the descriptors of a hop beside the bare persistence calculations that are in them."""
    unit = Unit("ms/hop")
    cases: list[Case] = []
    groups: dict[str, list[float]] = {}
    for name, env in reference_hops(HOPS if settings.limit is None else settings.limit):
        found = alternate(sides(env), repeats=settings.repeats)
        seconds = {side: found[side].seconds for side in (OURS, RIPSER)}
        cases.append(Case(name, 1.0, seconds, count_bars(env) == found[RIPSER].result))
        for side, timing in found.items():
            if side not in seconds and timing.seconds is not None:
                groups.setdefault(side, []).append(unit.of(timing.seconds, 1.0))
    return summarise(
        "descriptors",
        cases,
        unit,
        details={"of which (ms/hop)": {name: median(values) for name, values in groups.items()}},
        notes=[
            "the shortest hop of each reference structure, on one core; ripser is timed on the same three "
            "clouds, H0 and H1 to 6 Å, from ready distance matrices",
            "counts are bars; a ratio of 0.5 means that all groups take twice the time of ripser alone",
        ],
    )


def sides(env: HopEnvironment) -> dict[str, Callable[[], Any]]:
    """Return the calls to time: all groups, ripser alone, and each group from what they share."""
    scene = survey(env)
    image = channels(scene)
    matrices = distance_matrices(env)
    return {
        OURS: partial(describe, env),
        RIPSER: lambda: [bars for matrix in matrices for bars in raw_bars(matrix)],
        SHARED: lambda: channels(survey(env)),
        "local": partial(local, env, scene, image),
        "profile": partial(profile, env, scene, image),
        "topology": partial(topology, env, scene),
        "chemistry": partial(chemistry, env, scene),
    }


def distance_matrices(env: HopEnvironment) -> list[NDArray[np.float64]]:
    """Return the distances within each cloud of a hop that has a homology, in Å."""
    members = clouds(survey(env)).values()
    return [squareform(pdist(env.coords_ang[cloud])) for cloud in members if len(cloud) >= MIN_POINTS]


def raw_bars(matrix: NDArray[np.float64]) -> list[int]:
    """Return the number of H0 and of H1 bars that ripser finds, without the one that never dies."""
    h0, h1 = ripser(matrix, maxdim=1, thresh=THRESHOLD_ANG, distance_matrix=True)["dgms"]
    return [len(h0) - 1, len(h1)]


def count_bars(env: HopEnvironment) -> list[int]:
    """Return the same numbers as the descriptors have them."""
    members = [cloud for cloud in clouds(survey(env)).values() if len(cloud) >= MIN_POINTS]
    return [len(bars) for cloud in members for bars in persistence(env.coords_ang[cloud])]
