"""The anion polyhedra of a hop on paper: edges, one view for both states, and room for the labels."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

Record = dict[str, Any]

FLAT_ANG = 0.05
"""Corners that lie this close to one plane are drawn as a polygon."""

COPLANAR_COS = 0.995
"""Triangles of a hull whose normals agree by this much (6 degrees) are one face, without an edge between."""

TURNS, TILTS_DEG = 72, (0.0, 8.0, -8.0, 16.0, -16.0, 24.0, -24.0)
"""Views tried: turned about the hop, and tilted out of its side view."""

BETTER_ANG = 0.02
"""A later view must keep spots this much further apart to be taken instead of an earlier one."""

ENOUGH_ANG = 1.1
"""Spots this far apart on paper are plainly apart: no view is better for more."""

PARALLEL = 1e-3

AROUND_DEG = (0, 30, -30, 60, -60, 90, -90, 120, -120, 150, -150, 180)
"""Directions in which a label may stand, from that which leads away from the middle."""

OUT = (1.0, 1.35, 1.8)
"""How far out it may stand, as multiples of the nearest place."""


@dataclass(frozen=True)
class Label:
    """Where a text stands: the middle of its box, in Å on paper."""

    text: str
    at_ang: NDArray[np.float64]
    spot_ang: NDArray[np.float64]
    led: bool


@dataclass(frozen=True)
class Drawn:
    """A polyhedron on paper: coordinates are right, up and towards the reader, in Å from the middle.

    Parameters
    ----------
    ion_ang : ndarray of shape (3,)
        The moving ion.
    anions_ang : ndarray of shape (n, 3)
        Corners.
    elements : tuple of str
        Their elements.
    edges : tuple of (int, int)
        Pairs of corners.
    faces : tuple of tuple of int
        Triangles or, for a flat polyhedron, one polygon.
    path_ang : ndarray of shape (P, 3)
        The whole path.
    labels : tuple of Label
        What stands beside the corners and the further vacant site.
    vacancy_ang : ndarray of shape (3,) or None
        The further vacant site of a divacancy hop.
    """

    ion_ang: NDArray[np.float64]
    anions_ang: NDArray[np.float64]
    elements: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]
    faces: tuple[tuple[int, ...], ...]
    path_ang: NDArray[np.float64]
    labels: tuple[Label, ...]
    vacancy_ang: NDArray[np.float64] | None


def hull(
    corners_ang: NDArray[np.float64],
) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, ...], ...]]:
    """Return the edges and faces of the polyhedron that corners span.

    Parameters
    ----------
    corners_ang : ndarray of shape (n, 3)
        Corners.

    Returns
    -------
    edges : tuple of (int, int)
        Pairs of corners, in rising order; none between triangles that lie in one plane.
    faces : tuple of tuple of int
        Triangles, or one polygon for corners in a plane.
    """
    count = len(corners_ang)
    if count < 3:  # noqa: PLR2004 - a line, a point or nothing
        return tuple(combinations(range(count), 2)), ()
    spread = corners_ang - corners_ang.mean(axis=0)
    _, sizes, axes = np.linalg.svd(spread, full_matrices=False)
    if count == 3 or sizes[2] < FLAT_ANG:  # noqa: PLR2004
        return _polygon(spread @ axes[:2].T)
    found = ConvexHull(corners_ang)
    edges: dict[tuple[int, int], list[NDArray[np.float64]]] = {}
    for simplex, plane in zip(found.simplices, found.equations, strict=True):
        for a, b in combinations(sorted(simplex.tolist()), 2):
            edges.setdefault((a, b), []).append(plane[:3])
    sharp = {pair for pair, (one, other) in edges.items() if one @ other < COPLANAR_COS}
    return tuple(sorted(sharp)), tuple(tuple(simplex.tolist()) for simplex in found.simplices)


def _polygon(
    flat_ang: NDArray[np.float64],
) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, ...], ...]]:
    """Return the outline of corners in a plane."""
    try:
        around = ConvexHull(flat_ang).vertices.tolist()
    except QhullError:  # on one line
        order = np.argsort(flat_ang[:, 0]).tolist()
        return tuple((min(a, b), max(a, b)) for a, b in pairwise(order)), ()
    pairs = zip(around, [*around[1:], around[0]], strict=True)
    return tuple(sorted((min(a, b), max(a, b)) for a, b in pairs)), (tuple(around),)


def best_view(hop: Mapping[str, Any], states: Sequence[str]) -> NDArray[np.float64]:
    """Return the picture's axes: the hop from left to right, ion and anions apart in all states.

    Parameters
    ----------
    hop : mapping
        As `tasks.reports.hop_facts.build_hop` returns it.
    states : sequence of str
        Which states are drawn.

    Returns
    -------
    ndarray of shape (3, 3)
        Unit vectors to the right, up and towards the reader, as rows.
    """
    clouds = [
        np.array(
            [
                state["position_ang"],
                *(anion["position_ang"] for anion in state["anions"]),
                *([] if hop["also_vacant_ang"] is None else [hop["also_vacant_ang"]]),
            ]
        )
        for state in (hop["states"][name] for name in states)
    ]
    points = hop["path"]["points"]
    along = np.subtract(points[-1]["position_ang"], points[0]["position_ang"])
    right = along / np.linalg.norm(along)
    # The axis that the hop is least along gives a perpendicular that no rounding turns.
    up = np.cross(right, np.eye(3)[int(np.argmin(np.abs(right).round(6)))])
    up /= np.linalg.norm(up)
    towards = np.cross(right, up)
    best, widest = np.array([right, up, towards]), -1.0
    for tilt in np.deg2rad(TILTS_DEG):
        for turn in np.arange(TURNS) * (2.0 * np.pi / TURNS):
            about = np.cos(turn) * up + np.sin(turn) * towards
            deep = np.cross(right, about)
            axes = np.array(
                [
                    np.cos(tilt) * right - np.sin(tilt) * deep,
                    about,
                    np.sin(tilt) * right + np.cos(tilt) * deep,
                ]
            )
            # The tighter of the states counts first, and the looser settles what is equal.
            apart = sorted(min(float(pdist(cloud @ axes[:2].T).min()), ENOUGH_ANG) for cloud in clouds)
            width = apart[0] + 0.2 * apart[-1]
            if width > widest + BETTER_ANG:
                best, widest = axes, width
    return best


def flattened(
    hop: Mapping[str, Any],
    name: str,
    axes: NDArray[np.float64],
    label_ang: tuple[float, float],
    disc_ang: float,
) -> Drawn:
    """Return a state's polyhedron on paper, its labels placed.

    Parameters
    ----------
    hop : mapping
        As `tasks.reports.hop_facts.build_hop` returns it.
    name : str
        Which state.
    axes : ndarray of shape (3, 3)
        As `best_view` returns them.
    label_ang : tuple of float
        Width and height of a label on paper, in Å.
    disc_ang : float
        Radius of an atom on paper, in Å.

    Returns
    -------
    Drawn
        With the middle of all that is labelled at the origin.
    """
    state = hop["states"][name]
    anions = np.array([anion["position_ang"] for anion in state["anions"]], dtype=np.float64)
    vacancy = [] if hop["also_vacant_ang"] is None else [hop["also_vacant_ang"]]
    spots = np.vstack([state["position_ang"], anions, *vacancy]) @ axes.T
    middle = (spots.max(axis=0) + spots.min(axis=0)) / 2.0
    spots -= middle
    path = np.array([point["position_ang"] for point in hop["path"]["points"]]) @ axes.T - middle
    edges, faces = hull(anions)
    texts = [f"{anion['element']} {anion['distance_ang']:.2f}" for anion in state["anions"]]
    texts += ["vacant"] * len(vacancy)
    return Drawn(
        ion_ang=spots[0],
        anions_ang=spots[1 : 1 + len(anions)],
        elements=tuple(anion["element"] for anion in state["anions"]),
        edges=edges,
        faces=faces,
        path_ang=path,
        labels=place_labels(spots[:, :2], texts, label_ang, disc_ang),
        vacancy_ang=spots[-1] if vacancy else None,
    )


def place_labels(
    spots_ang: NDArray[np.float64], texts: Sequence[str], label_ang: tuple[float, float], disc_ang: float
) -> tuple[Label, ...]:
    """Return a place for the label of each spot but the first, clear of all spots and of each other.

    Parameters
    ----------
    spots_ang : ndarray of shape (1 + n, 2)
        The ion on paper, and then what is labelled.
    texts : sequence of str
        A text for each spot but the first.
    label_ang : tuple of float
        Width and height of a label.
    disc_ang : float
        Radius of a spot.

    Returns
    -------
    tuple of Label
        In the order of the texts.
    """
    half = np.array(label_ang) / 2.0
    placed: list[Label | None] = [None] * len(texts)
    taken: list[NDArray[np.float64]] = []
    # From the outside in: what lies in the middle has the most freedom, and crosses the most lines anyway.
    order = sorted(range(len(texts)), key=lambda k: -round(float(np.hypot(*spots_ang[k + 1])), 6))
    for k in order:
        spot = spots_ang[k + 1]
        away = float(np.arctan2(spot[1], spot[0])) if np.hypot(*spot) > PARALLEL else np.pi / 2
        choices = []
        for far in OUT:
            for rank, turn in enumerate(AROUND_DEG):
                towards = np.array([np.cos(away + np.deg2rad(turn)), np.sin(away + np.deg2rad(turn))])
                # The box touches the disc from outside whichever way it lies.
                reach = min((half[axis] + disc_ang) / max(abs(towards[axis]), PARALLEL) for axis in (0, 1))
                at = spot + far * min(reach, float(np.hypot(*half)) + disc_ang) * towards
                cost = _overlap(at, half, spots_ang, disc_ang, taken) + 0.01 * rank + 0.3 * (far - 1.0)
                choices.append((cost, far > OUT[0], at))
        _, led, at = min(choices, key=lambda choice: choice[0])
        taken.append(at)
        placed[k] = Label(texts[k], at, spot, led)
    return tuple(label for label in placed if label is not None)


def _overlap(
    at: NDArray[np.float64],
    half: NDArray[np.float64],
    spots_ang: NDArray[np.float64],
    disc_ang: float,
    taken: Sequence[NDArray[np.float64]],
) -> float:
    """Return how many discs and labels a label's box would cover, each more than all that speaks for it."""
    gap = np.maximum(np.abs(spots_ang - at) - half, 0.0)
    discs = int((np.hypot(gap[:, 0], gap[:, 1]) < 0.97 * disc_ang).sum())
    boxes = sum(bool((np.abs(other - at) < 2.0 * half).all()) for other in taken)
    return 5.0 * boxes + 3.0 * discs
