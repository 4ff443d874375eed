"""What of a hop network lies in a conventional cell, and the direction from which most of it shows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

Record = dict[str, Any]

ON_FACE = 1e-3
"""Fractions of a cell within which a site lies on its face, and is drawn on the opposite one too."""

LEAST_EDGE_ANG = 4.5
"""Cells are repeated along edges until these are this long: in smaller ones no network is seen."""

TILT_DEG = (9.0, -12.0)
"""Turned by so much about the screen's horizontal and vertical, what lies behind each other comes apart."""

UPRIGHT = 0.5
"""Part of a vector's length that shows when it is fit to point upwards; of three one always is."""

ROUNDING = 1e-9
"""Part of a barrier by which it may be above the level that it makes itself."""

APART_ANG = 1.2
"""Sites this far apart in the picture are told apart as well as they need be."""


@dataclass(frozen=True)
class Line:
    """A hop as it is drawn: its number, sites and ends, and the further vacant site of a divacancy hop."""

    hop: int
    sites: tuple[int, int]
    start_ang: NDArray[np.float64]
    end_ang: NDArray[np.float64]
    by_ang: NDArray[np.float64] | None


@dataclass(frozen=True)
class Spot:
    """A site or an atom as it is drawn; `inside` where it lies in the cell."""

    kind: str
    place_ang: NDArray[np.float64]
    inside: bool


@dataclass(frozen=True)
class Scene:
    """All that is drawn, in Å: the cell, its origin and how often it is repeated, sites, atoms and hops."""

    cell_ang: NDArray[np.float64]
    origin_ang: NDArray[np.float64]
    times: tuple[int, int, int]
    spots: tuple[Spot, ...]
    lines: tuple[Line, ...]


def scene(network: Mapping[str, Any]) -> Scene:
    """Collect what lies in the conventional cell: sites and atoms with it, hops with their middle.

    Hops that ions do not use where they percolate are left out where they leave the cell, unless they always
    do: they are seen once and do not hide the others.

    Parameters
    ----------
    network : mapping
        As `tasks.reports.network.build_network` returns it, with a structure.

    Returns
    -------
    Scene
        Ends of hops that lie outside the cell are spots that are not inside.
    """
    box = _box(network)
    spots = _spots_inside(network, box)
    lines = _lines(network, box)
    kinds = {node["index"]: node["kind"] for node in network["nodes"]}
    known = {_name(spot.kind, spot.place_ang) for spot in spots}
    for line in lines:
        for site, place_ang in zip(line.sites, (line.start_ang, line.end_ang), strict=True):
            name = _name(kinds[site], place_ang)
            if name not in known:
                known.add(name)
                spots.append(Spot(kinds[site], place_ang, inside=False))
    return Scene(box.cell_ang, box.origin_ang, box.times, tuple(spots), tuple(lines))


@dataclass(frozen=True)
class _Box:
    """The conventional cell, repeated, and the stored cells that reach into it."""

    stored_ang: NDArray[np.float64]
    cell_ang: NDArray[np.float64]
    origin_ang: NDArray[np.float64]
    times: tuple[int, int, int]
    to_box: NDArray[np.float64]
    shifts: NDArray[np.float64]

    def inside(self, frac: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Say which places, in fractions of the stored cell, lie in the box or on its faces."""
        in_box = (frac @ self.stored_ang - self.origin_ang) @ self.to_box
        return np.asarray(((in_box > -ON_FACE) & (in_box < 1.0 + ON_FACE)).all(axis=-1))


def _box(network: Mapping[str, Any]) -> _Box:
    """Return the box that is drawn, with every stored cell that something in it may belong to."""
    stored = np.array(network["lattice_ang"])
    cell = np.array(network["conventional"]["lattice_ang"])
    origin = np.array(network["conventional"]["origin_frac"]) @ stored
    a, b, c = (max(1, math.ceil(LEAST_EDGE_ANG / float(np.linalg.norm(vector)))) for vector in cell)
    box = np.array([[a], [b], [c]]) * cell
    corners = (origin + np.array(list(product((0.0, 1.0), repeat=3))) @ box) @ np.linalg.inv(stored)
    # Two cells more than the corners reach: coordinates and images need not lie in the home cell.
    low, high = np.floor(corners.min(axis=0)).astype(int) - 2, np.ceil(corners.max(axis=0)).astype(int) + 2
    grid = np.meshgrid(*(np.arange(x, y + 1) for x, y in zip(low, high, strict=True)), indexing="ij")
    shifts = np.stack(grid, axis=-1).reshape(-1, 3).astype(np.float64)
    return _Box(stored, cell, origin, (a, b, c), np.linalg.inv(box), shifts)


def _spots_inside(network: Mapping[str, Any], box: _Box) -> list[Spot]:
    """Return the sites and atoms in the box."""
    spots = []
    for atom in [*network["nodes"], *network["host"]]:
        if atom["frac"] is not None:
            images = np.array(atom["frac"]) + box.shifts
            kind = atom.get("kind", "host")
            spots += [Spot(kind, at @ box.stored_ang, inside=True) for at in images[box.inside(images)]]
    return spots


def _lines(network: Mapping[str, Any], box: _Box) -> list[Line]:
    """Return the hops whose middle lies in the box."""
    frac = {node["index"]: np.array(node["frac"]) for node in network["nodes"] if node["frac"] is not None}
    found: dict[int, list[tuple[bool, Line]]] = {}
    for edge in network["edges"]:
        if edge["i"] not in frac or edge["j"] not in frac:
            continue
        ends = np.array([frac[edge["i"]], frac[edge["j"]] + edge["image"]])
        for shift in box.shifts[box.inside(ends.mean(axis=0) + box.shifts)]:
            start, end = (ends + shift) @ box.stored_ang
            line = Line(
                edge["hop"], (edge["i"], edge["j"]), start, end, _by(edge, frac, shift, box.stored_ang)
            )
            found.setdefault(edge["hop"], []).append((bool(box.inside(ends + shift).all()), line))
    return [line for hop in network["hops"] for line in _kept(found.get(hop["number"], []), hop, network)]


def _name(kind: str, place_ang: NDArray[np.float64]) -> tuple[str, ...]:
    """Return what two spots have in common when they are one."""
    return (kind, *(f"{x + 0.0:.2f}" for x in np.round(place_ang, 2)))


def runs(hop: Mapping[str, Any], network: Mapping[str, Any]) -> bool:
    """Say whether ions use a hop where they percolate."""
    level_ev = network["barrier_at_dim_ev"]
    known = hop["carries_percolation"] and level_ev is not None
    return bool(known and hop["barrier_ev"] <= level_ev * (1.0 + ROUNDING))


def _kept(found: list[tuple[bool, Line]], hop: Record, network: Mapping[str, Any]) -> list[Line]:
    """Return the lines of a hop that are drawn."""
    within = [line for whole, line in found if whole]
    return within if within and not runs(hop, network) else [line for _, line in found]


def _by(
    edge: Record,
    frac: Mapping[int, NDArray[np.float64]],
    shift: NDArray[np.float64],
    stored: NDArray[np.float64],
) -> NDArray[np.float64] | None:
    """Return where the further vacant site of a divacancy hop lies."""
    if edge["also_vacant"] is None or edge["also_vacant"][0] not in frac:
        return None
    site, *image = edge["also_vacant"]
    place: NDArray[np.float64] = (frac[site] + image + shift) @ stored
    return place


def best_view(drawn: Scene, weights: Mapping[int, float]) -> NDArray[np.float64]:
    """Return the view along or between axes, slightly tilted, in which hops look longest and sites part.

    Parameters
    ----------
    drawn : Scene
        What is drawn.
    weights : mapping of int to float
        How much it matters that a hop is seen, by its number.

    Returns
    -------
    ndarray of shape (3, 3)
        Rows: the directions in space of the picture's right, up and towards the reader.
    """
    views = [view(drawn.cell_ang, uvw) for uvw in product((-1, 0, 1), repeat=3) if any(uvw)]
    return max(views, key=lambda axes: _shows(drawn, axes, weights))


def view(cell_ang: NDArray[np.float64], uvw: Sequence[int]) -> NDArray[np.float64]:
    """Return the picture's axes for looking along an axis or between axes, with c upwards, or else b or a."""
    # Unit vectors, lest a long axis draw all directions to itself.
    towards = _unit(np.asarray(uvw, dtype=np.float64) @ np.array([_unit(vector) for vector in cell_ang]))
    # Of c, b and a the first that does not point at the reader.
    flat = [_unit(vector) - (_unit(vector) @ towards) * towards for vector in cell_ang[::-1]]
    up = _unit(next(vector for vector in flat if np.linalg.norm(vector) > UPRIGHT))
    axes = np.array([np.cross(up, towards), up, towards])
    x, y = np.deg2rad(TILT_DEG)
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    about_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    turned: NDArray[np.float64] = about_x @ about_y @ axes
    return turned


def _shows(drawn: Scene, axes: NDArray[np.float64], weights: Mapping[int, float]) -> float:
    """Return how much a view shows: lengths of the hops that matter, and how far apart sites appear."""
    total, seen = 0.0, 0.0
    for line in drawn.lines:
        vector = line.end_ang - line.start_ang
        weight = weights.get(line.hop, 0.0)
        total += weight
        seen += weight * float(np.linalg.norm(axes[:2] @ vector) / np.linalg.norm(vector))
    places = np.array([spot.place_ang for spot in drawn.spots if spot.kind != "host" and spot.inside])
    flat = places @ axes[:2].T
    gaps = np.linalg.norm(flat[:, None] - flat[None], axis=-1) + APART_ANG * np.eye(len(flat))
    apart = float(np.minimum(gaps.min(axis=1), APART_ANG).mean() / APART_ANG) if len(flat) else 0.0
    return apart + (seen / total if total > 0.0 else 0.0)


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = vector / np.linalg.norm(vector)
    return unit
