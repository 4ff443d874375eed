"""Relaxed paths: each hop as a climbing-image NEB under the BVSE, from the straight line, with its rules.

Ends first slide to the nearest minimum. An end that leaves its site by more than 0.7 Å, or comes nearer to
another site, marks the hop collapsed, and the path runs between fixed ends at the crystal sites. A minimum on
the way that is deeper than 0.05 eV splits the hop in two: it is relaxed itself, and each part gets a climbing
image of its own. What does not converge is tried once more, finer and with shorter steps. Hosts without
parameters keep the straight path and say so; so do hops whose images run away from the line.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from pymatgen.core import Element

from tasks.hops.bvse import missing_parameters, pair_parameters
from tasks.hops.chains import N_DENSE, Work, add_chain, distance_to_line, split
from tasks.hops.curve import Curve, even_points, find_extrema
from tasks.hops.field import Field, Host
from tasks.hops.first_guess import first_guess
from tasks.hops.neb import NebSettings, relax_chains, relax_points
from tasks.hops.path import DEFAULT_N_POINTS
from tasks.hops.relaxed_path import RelaxedPath, straight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from tasks.hops.path import HopEnvironment

REACH_ANG = 9.0
"""Host atoms within this of the straight path count: those beyond move barriers by less than a meV."""

LEAVES_SITE_ANG = 0.7
"""An end that moves further than this has left its site."""

EXTREMUM_EV = 1e-3
"""Extrema that stand out by less are ripples of the interpolation."""

CONVERGED_EV_ANG = 0.05
"""A path with no larger force left counts as converged; the relaxation aims below that."""

MAX_ENTRIES = 300_000
"""Images times atoms worked on at once: fastest where they fit into the cache, and memory stays bounded."""


def relax_paths(
    envs: Sequence[HopEnvironment],
    settings: NebSettings | None = None,
    *,
    device: str = "cpu",
    max_entries: int = MAX_ENTRIES,
) -> list[RelaxedPath]:
    """Relax the straight paths of some hops, all at once.

    Parameters
    ----------
    envs : sequence of HopEnvironment
        Hops with their straight paths, cut at 9 Å or further.
    settings : NebSettings, optional
        How paths are relaxed.
    device : str
        Where torch computes: ``cpu``, ``cuda``, ``cuda:1``.
    max_entries : int
        Images times atoms worked on at once.

    Returns
    -------
    list of RelaxedPath
        One a hop, in the order given.
    """
    settings = NebSettings() if settings is None else settings
    done: list[RelaxedPath | None] = [None] * len(envs)
    waiting: list[tuple[int, Work]] = []
    for k, env in enumerate(envs):
        missing = missing_parameters(env.working_ion, env.numbers, env.charges)
        if missing:
            done[k] = straight(env, missing)
        else:
            waiting.append((k, _work(env)))
    for k, path in _relax_all(envs, waiting, settings, device, max_entries):
        done[k] = path
    # What does not converge, or runs away, is tried once more with care: it is about one hop in fifty.
    again = [
        (k, _work(envs[k])) for k, path in enumerate(done) if path is not None and path.converged is False
    ]
    for k, path in _relax_all(envs, again, settings.careful(), device, max_entries):
        first = done[k]
        if path.converged or (first is not None and first.kind == "straight"):
            done[k] = path
    return [path for path in done if path is not None]


def _relax_all(
    envs: Sequence[HopEnvironment],
    waiting: list[tuple[int, Work]],
    settings: NebSettings,
    device: str,
    max_entries: int,
) -> Iterator[tuple[int, RelaxedPath]]:
    """Yield the path of each hop that waits, chunk by chunk, with the hop's number."""
    for chunk in _chunks(waiting, settings.n_images, max_entries):
        works = [work for _, work in chunk]
        with torch.no_grad():
            paths = _relax_chunk(works, settings, torch.device(device))
        for (k, work), path in zip(chunk, paths, strict=True):
            yield k, _keep_to_line(envs[k], work, path)


def starting_chains(
    envs: Sequence[HopEnvironment], settings: NebSettings | None = None
) -> list[NDArray[np.float64]]:
    """Return the images that the relaxation of some hops starts from, for those who relax them otherwise.

    Parameters
    ----------
    envs : sequence of HopEnvironment
        Hops with their straight paths, cut at 9 Å or further, whose parameters are all there.
    settings : NebSettings, optional
        How paths are relaxed.

    Returns
    -------
    list of ndarray of shape (n_images, 3)
        In the frame of each environment, in Å; the first and the last are the ends that the path keeps.
    """
    settings = NebSettings() if settings is None else settings
    cpu = torch.device("cpu")
    chains = []
    for env in envs:
        work = _work(env)
        with torch.no_grad():
            hosts = Field([work.host], cpu)
            guess = first_guess(hosts, _relax_ends(hosts, [work], settings, cpu), settings.n_images)
        chains.append(guess[0].numpy() + work.origin)
    return chains


def relaxed_environments(
    cuts: Sequence[Callable[..., HopEnvironment]],
    settings: NebSettings | None = None,
    *,
    device: str = "cpu",
) -> list[HopEnvironment]:
    """Relax the paths of some hops and cut their surroundings anew around the relaxed paths.

    Parameters
    ----------
    cuts : sequence of callable
        `tasks.hops.path.hop_environment` with everything given but ``radius_ang`` and ``relaxed``.
    settings : NebSettings, optional
        How paths are relaxed.
    device : str
        Where torch computes.

    Returns
    -------
    list of HopEnvironment
        One a hop, in the order given; `HopEnvironment.relaxed` says how it went.
    """
    wide = [cut(radius_ang=REACH_ANG) for cut in cuts]
    paths = relax_paths(wide, settings, device=device)
    return [cut(relaxed=path) for cut, path in zip(cuts, paths, strict=True)]


def _work(env: HopEnvironment) -> Work:
    """Cut the host out of the environment, with the origin in the middle of the path."""
    origin = env.path_ang[[0, -1]].mean(axis=0)
    near = distance_to_line(env.coords_ang, env.path_ang[0], env.path_ang[-1]) <= REACH_ANG
    coords = env.coords_ang[near] - origin
    number = Element(env.working_ion).Z
    return Work(
        host=Host(coords, pair_parameters(env.working_ion, env.numbers[near], env.charges[near])),
        origin=origin,
        sites=env.path_ang[[0, -1]] - origin,
        other_sites=coords[env.numbers[near] == number],
    )


def _chunks(
    waiting: list[tuple[int, Work]], n_images: int, max_entries: int
) -> Iterator[list[tuple[int, Work]]]:
    """Yield hops of about equal size together, as many as the bound allows, so that padding wastes little."""
    chunk: list[tuple[int, Work]] = []
    for k, work in sorted(waiting, key=lambda entry: entry[1].host.n_atoms):
        if chunk and (len(chunk) + 1) * work.host.n_atoms * n_images > max_entries:
            yield chunk
            chunk = []
        chunk.append((k, work))
    if chunk:
        yield chunk


def _relax_chunk(works: list[Work], settings: NebSettings, device: torch.device) -> list[RelaxedPath]:
    """Relax ends, then paths, then the parts of paths that have a minimum on their way."""
    hosts = Field([work.host for work in works], device)
    ends = _relax_ends(hosts, works, settings, device)
    relaxed = relax_chains(hosts, first_guess(hosts, ends, settings.n_images), settings)
    for k, work in enumerate(works):
        add_chain(work, relaxed, k)
    split(hosts, works, settings, device)
    return _finish(hosts, works, device)


def _relax_ends(hosts: Field, works: list[Work], settings: NebSettings, device: torch.device) -> Tensor:
    """Return the ends that paths run between, shape (B, 2, 3): relaxed, or the sites of collapsed hops."""
    sites = torch.from_numpy(np.array([work.sites for work in works])).to(device)
    relaxed = relax_points(hosts, sites, settings)
    ends = relaxed.positions.cpu().numpy().copy()
    for k, work in enumerate(works):
        residual = float(relaxed.residual[k])
        work.end_shift = float(np.linalg.norm(ends[k] - work.sites, axis=1).max())
        work.steps = int(relaxed.steps[k])
        work.collapsed = residual > CONVERGED_EV_ANG or not all(
            _stays(ends[k, side], work, side) for side in (0, 1)
        )
        if work.collapsed:
            ends[k] = work.sites
        else:
            # Ends that are put back to their sites have no residual: they stand where the crystal has them.
            work.end_residual = residual
    return torch.from_numpy(ends).to(device)


def _stays(end: NDArray[np.float64], work: Work, side: int) -> bool:
    """Say whether a relaxed end is still at its own site: near it, and nearer than to any other."""
    own = float(np.linalg.norm(end - work.sites[side]))
    others = np.vstack([work.other_sites, work.sites[1 - side][None]])
    return own <= LEAVES_SITE_ANG and own <= float(np.linalg.norm(others - end, axis=1).min())


def _finish(hosts: Field, works: list[Work], device: torch.device) -> list[RelaxedPath]:
    """Sample the relaxed paths evenly and put them back where they belong."""
    dense = np.linspace(0.0, 1.0, N_DENSE)
    images = [work.images for work in works]
    points = [even_points(chain, DEFAULT_N_POINTS) for chain in images]
    sampled = np.array(
        [np.vstack([even, Curve(chain).at(dense)]) for even, chain in zip(points, images, strict=True)]
    )
    energies = hosts.energy_and_force(torch.from_numpy(sampled).to(device))[0].cpu().numpy()
    paths = []
    for k, work in enumerate(works):
        own = work.energies
        top = int(np.argmax(own))
        along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(images[k], axis=0), axis=1))])
        residual = max(work.end_residual, *(chain.residual for chain in work.chains))
        paths.append(
            RelaxedPath(
                kind="bvse_fixed_ends" if work.collapsed else "bvse",
                positions_ang=points[k] + work.origin,
                energies_ev=energies[k, :DEFAULT_N_POINTS] - min(own[0], own[-1]),
                saddle_ang=images[k][top] + work.origin,
                saddle_fraction=float(along[top] / along[-1]),
                barrier_forward_ev=float(own[top] - own[0]),
                barrier_reverse_ev=float(own[top] - own[-1]),
                converged=residual <= CONVERGED_EV_ANG,
                residual_force_ev_ang=residual,
                steps=work.steps,
                collapsed=work.collapsed,
                end_shift_ang=work.end_shift,
                extrema=find_extrema(dense, energies[k, DEFAULT_N_POINTS:], least_ev=EXTREMUM_EV),
                intermediates_ang=np.array([c.images[0] + work.origin for c in work.chains[1:]]).reshape(
                    -1, 3
                ),
            )
        )
    return paths


def _keep_to_line(env: HopEnvironment, work: Work, path: RelaxedPath) -> RelaxedPath:
    """Return the path, or the straight one, not converged, where an image ran away."""
    if not work.strayed:
        return path
    return replace(
        straight(env),
        converged=False,
        residual_force_ev_ang=path.residual_force_ev_ang,
        steps=path.steps,
        collapsed=path.collapsed,
        end_shift_ang=path.end_shift_ang,
    )
