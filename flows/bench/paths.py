"""Bench `paths`: relaxed paths of hops of the reference structures, beside ASE's NEB with `ions`."""

from __future__ import annotations

from functools import partial
from itertools import chain, islice, zip_longest
from statistics import fmean, median
from typing import TYPE_CHECKING

import numpy as np
import torch

from flows.bench import ions_neb
from flows.bench.measure import OURS, Case, Unit, summarise, timed
from flows.bench.structures import WORKING_ION, reference_materials
from tasks.hops.bvse import missing_parameters
from tasks.hops.neb import NebSettings
from tasks.hops.network import hop_network
from tasks.hops.path import hop_environment
from tasks.hops.relax import REACH_ANG, relax_paths, starting_chains

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from flows.bench.measure import BenchResult, BenchSettings
    from flows.bench.structures import Material
    from tasks.hops.path import HopEnvironment
    from tasks.hops.relaxed_path import RelaxedPath

BATCH = 256
PEER_HOPS = 12
"""Hops of the batch that the peers relax: each takes them seconds."""

CUTOFF_ANG = 6.0
AGREEMENT_EV = 0.02
SETTINGS = NebSettings()
PEER, QUICK = "ASE + ions", "ASE + ions, neighbours given"


def bench(settings: BenchSettings) -> BenchResult:
    """Time a batch of hops, and some of them by the peer, to the same tolerance from the same images.

    Raises
    ------
    MissingPeerError
        When ions is not installed.
    """
    ions_neb.load_peer()
    named = list(hops(BATCH if settings.limit is None else settings.limit))
    envs = [env for _, env in named]
    relax_paths(envs[:1], SETTINGS)
    rounds = [timed(partial(relax_paths, envs, SETTINGS)) for _ in range(settings.repeats)]
    ours_s = median(seconds for seconds, _ in rounds) / max(len(envs), 1)
    paths = rounds[-1][1]
    chosen = sample(len(named), PEER_HOPS)
    cases, peers = [], []
    for k, images in zip(chosen, starting_chains([envs[k] for k in chosen], SETTINGS), strict=True):
        seconds, peer = time_peers(envs[k], images)
        apart_ev = abs(peer.barrier_ev - paths[k].barrier_ev)
        equal = bool(paths[k].converged) and peer.converged and apart_ev <= AGREEMENT_EV
        cases.append(Case(named[k][0], 1.0, {OURS: ours_s, **seconds}, equal))
        peers.append(peer)
    peer_s = fmean(case.seconds[PEER] or np.inf for case in cases) if cases else np.inf
    return summarise(
        "paths",
        cases,
        Unit("ms/hop"),
        details={
            "hops in the batch": len(envs),
            "of which converged": sum(bool(path.converged) for path in paths),
            "peer's mean time over ours": peer_s / ours_s,
            "largest_difference_ev": max(_differences([paths[k] for k in chosen], peers), default=None),
            "differing": [
                f"{case.name}: ours {_said(paths[k])}, the peer's {peer.barrier_ev:.3f} eV, "
                f"{'converged' if peer.converged else 'not converged'} in {peer.steps} steps"
                for k, case, peer in zip(chosen, cases, peers, strict=True)
                if not case.counts_equal
            ],
            "threads": f"torch {torch.get_num_threads()}, the peer 1 (numpy, no matrix product)",
            "median steps": {
                OURS: median(paths[k].steps for k in chosen) if chosen else None,
                PEER: median(peer.steps for peer in peers) if peers else None,
            },
        },
        notes=NOTES,
    )


NOTES = (
    f"ours: {BATCH} hops of the reference structures within {CUTOFF_ANG:g} Å in one batch, its time over its "
    "hops, with relaxation of ends, splits and sampling. The peer: hops spread over the batch, one "
    "by one, in the same process, from the same relaxed ends and first images",
    f"both to {SETTINGS.tolerance_ev_ang:g} eV/Å, {SETTINGS.n_images} images, the same springs; the peer's "
    "forces are mended as flows.bench.ions_neb says, for as they stand it takes more steps to another path",
    f"counts are equal when both converged and barriers agree within {AGREEMENT_EV:g} eV",
)


def hops(limit: int) -> Iterator[tuple[str, HopEnvironment]]:
    """Yield so many hops that have parameters, of the reference structures by turns, with their surroundings.

    Parameters
    ----------
    limit : int
        Most hops.

    Yields
    ------
    tuple of str and HopEnvironment
        What it is, and the hop.
    """
    turns = zip_longest(*[_hops_of(material) for material in reference_materials()])
    yield from islice((named for named in chain.from_iterable(turns) if named is not None), limit)


def _hops_of(material: Material) -> Iterator[tuple[str, HopEnvironment]]:
    """Yield the hops of one structure."""
    found = hop_network(material.structure, WORKING_ION, cutoff_ang=CUTOFF_ANG).hops
    for hop in found:
        env = hop_environment(
            material.structure,
            material.charges,
            hop.i,
            hop.j,
            hop.image,
            working_ion=WORKING_ION,
            radius_ang=REACH_ANG,
            also_vacant=hop.also_vacant,
        )
        if not missing_parameters(env.working_ion, env.numbers, env.charges):
            yield f"{material.name} {hop.distance_ang:.2f} Å", env


def sample(count: int, wanted: int) -> list[int]:
    """Return up to so many places spread evenly over a list."""
    return sorted({int(k) for k in np.linspace(0, count - 1, min(count, wanted)).round()})


def time_peers(
    env: HopEnvironment, images: NDArray[np.float64]
) -> tuple[dict[str, float | None], ions_neb.PeerPath]:
    """Return the peer's times over one hop, by its own neighbour list and by a given one, and its path."""
    with ions_neb.true_forces():
        own_s, path = timed(partial(ions_neb.relax, env, images, SETTINGS))
        given_s, _ = timed(partial(ions_neb.relax, env, images, SETTINGS, neighbours_given=True))
    return {PEER: own_s, QUICK: given_s}, path


def _said(path: RelaxedPath) -> str:
    """Say how a path of ours ended."""
    if path.kind == "straight":
        return "ran away"
    return f"{path.barrier_ev:.3f} eV, {'converged' if path.converged else 'not converged'}"


def _differences(paths: Sequence[RelaxedPath], peers: Sequence[ions_neb.PeerPath]) -> list[float]:
    """Return by how much barriers differ, in eV, where both converged."""
    return [
        abs(path.barrier_ev - peer.barrier_ev)
        for path, peer in zip(paths, peers, strict=True)
        if path.converged and peer.converged
    ]
