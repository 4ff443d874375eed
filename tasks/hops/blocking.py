"""What straight paths run through: an atom of the host, or a third site of the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from tasks.hops.orbits import lattice_box, sphere_margins

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_LENGTH_SQUARED = 1e-12
"""Keeps the distance from a segment of no length, between overlapping sites, a number."""

HOST_ATOM_TOLERANCE_ANG = 0.5
"""A host atom this near to the straight path blocks it.

Of the 619 hops of the literature in devi2025, 98% stay clear of it by this much; half an ångström from a
nucleus the straight path says nothing about the way that an ion would take round it.
"""

NETWORK_SITE_TOLERANCE_ANG = 0.7
"""A third site of the network this near to the straight path makes the hop a composition of shorter ones.

It is the distance within which an ion counts as being on a site; in devi2025 no hop but two, which start
from sites that overlap, comes nearer than 1.2 Å to another working ion.
"""

CHUNK_ENTRIES = 300_000
"""Hops times atoms that are looked at at once, so that memory stays bounded."""

BlockedBy = Literal["host_atom", "network_site"]


def blocked_by(
    frac: NDArray[np.float64],
    lattice: NDArray[np.float64],
    is_network: NDArray[np.bool_],
    edges: NDArray[np.int64],
) -> list[BlockedBy | None]:
    """Say of each hop what its straight path runs through.

    Parameters
    ----------
    frac : ndarray of shape (N, 3)
        Fractional coordinates of all sites, empty ones included.
    lattice : ndarray of shape (3, 3)
        Lattice vectors as rows, in Å.
    is_network : ndarray of shape (N,), bool
        Which sites belong to the network; the rest are atoms of the host.
    edges : ndarray of shape (H, 5)
        Hops (i, j, ox, oy, oz).

    Returns
    -------
    list of {"host_atom", "network_site"} or None
        One a hop; a host atom counts first.
    """
    if len(edges) == 0:
        return []
    # Within one cell, however far from it the coordinates are given: else the box of images grows.
    cells = np.floor(frac).astype(np.int64)
    frac = frac - cells
    image = edges[:, 2:] + cells[edges[:, 1]] - cells[edges[:, 0]]
    start_frac, end_frac = frac[edges[:, 0]], frac[edges[:, 1]] + image
    reach_ang = max(HOST_ATOM_TOLERANCE_ANG, NETWORK_SITE_TOLERANCE_ANG)
    ends_frac = np.concatenate([start_frac, end_frac])
    margin = reach_ang * sphere_margins(lattice)
    low = np.ceil(ends_frac.min(axis=0) - margin - frac.max(axis=0)).astype(np.int64)
    high = np.floor(ends_frac.max(axis=0) + margin - frac.min(axis=0)).astype(np.int64)
    shifts = lattice_box(low, high)
    # One integer a site in an image, so that the ends of each hop are told from what lies between them.
    width = high - low + 1
    weights = np.array([width[1] * width[2], width[2], 1], dtype=np.int64) * len(frac)
    codes = (shifts @ weights)[:, None] + np.arange(len(frac))
    home, away = edges[:, 0], edges[:, 1] + image @ weights
    coords_ang = ((shifts @ lattice)[:, None] + frac @ lattice).reshape(-1, 3)
    codes, sites = codes.ravel(), np.tile(np.arange(len(frac)), len(shifts))
    is_site = is_network[sites]
    limit = np.where(is_site, NETWORK_SITE_TOLERANCE_ANG, HOST_ATOM_TOLERANCE_ANG) ** 2
    start, along = start_frac @ lattice, (end_frac - start_frac) @ lattice
    through_host = np.empty(len(edges), dtype=np.bool_)
    through_site = np.empty(len(edges), dtype=np.bool_)
    step = max(1, CHUNK_ENTRIES // max(len(sites), 1))
    for first in range(0, len(edges), step):
        some = slice(first, first + step)
        squared = _squared_distance(coords_ang, start[some], along[some])
        near = (squared < limit) & (codes != home[some, None]) & (codes != away[some, None])
        through_site[some] = (near & is_site).any(axis=1)
        through_host[some] = (near & ~is_site).any(axis=1)
    return [
        "host_atom" if host else "network_site" if site else None
        for host, site in zip(through_host.tolist(), through_site.tolist(), strict=True)
    ]


def _squared_distance(
    coords_ang: NDArray[np.float64], start_ang: NDArray[np.float64], along_ang: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the squared distance of each point, a column, from each straight segment, a row."""
    length_squared = np.einsum("hx,hx->h", along_ang, along_ang)[:, None]
    ahead = along_ang @ coords_ang.T - np.einsum("hx,hx->h", along_ang, start_ang)[:, None]
    share = np.clip(ahead / np.maximum(length_squared, MIN_LENGTH_SQUARED), 0.0, 1.0)
    from_start = (
        np.einsum("mx,mx->m", coords_ang, coords_ang)
        - 2.0 * start_ang @ coords_ang.T
        + np.einsum("hx,hx->h", start_ang, start_ang)[:, None]
    )
    result: NDArray[np.float64] = from_start - share * (2.0 * ahead - share * length_squared)
    return result
