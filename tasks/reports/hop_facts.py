"""One hop as one record: its path and distances, its states with their anion polyhedra, its barcodes.

Nothing is relaxed or predicted here. The crystal, the path and the barrier are those that the database holds,
and what is said of them is what the descriptor groups say.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from storage import queries
from tasks.reports.errors import FigureError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from tasks.descriptors.scene import Scene
    from tasks.hops.path import HopEnvironment
    from tasks.hops.relaxed_path import RelaxedPath
    from tasks.hops.sites import Charges

Record = dict[str, Any]

OF_MATERIAL = ("material_id", "formula", "name", "working_ion", "state", "structure_hash")
OF_HOP = (
    "edge_id", "i", "j", "distance_ang", "multiplicity", "direction_symmetric", "mechanism", "blocked_by",
)  # fmt: skip
OF_BARRIER = (
    "barrier_ev", "lower_ev", "upper_ev", "barrier_forward_ev", "barrier_reverse_ev", "method",
    "model_digest", "in_domain", "converged",
)  # fmt: skip
OF_BVSE = ("bvse_barrier_ev", "bvse_barrier_forward_ev", "bvse_barrier_reverse_ev")
STATES = ("initial", "transition", "final")

N_ANIONS, N_CATIONS = 6, 4
"""Neighbours whose distances are given along the path, as many as the descriptor group `profile` gives."""


def hop_facts(database: str | Path, row: Record, hop: Record, number: int) -> Record:
    """Collect what there is to say of one hop.

    Parameters
    ----------
    database : str or Path
        The published database.
    row : dict
        The material's row of the view `rankings`.
    hop : dict
        A row of `storage.queries.network_of`.
    number : int
        The hop's number in its network.

    Returns
    -------
    dict
        As `build_hop` returns it.

    Raises
    ------
    FigureError
        When the database holds no structure of the material, or the hop cannot be described.
    """
    digest = row["structure_hash"]
    structure_json = queries.structure_of(database, digest)
    if structure_json is None:
        raise FigureError(f"{row['material_id']} has no stored structure, so its hops cannot be shown")
    return build_hop(row, structure_json, queries.charges_of(database, digest), hop, number)


def build_hop(
    row: Record, structure_json: str, charges: Sequence[float | None] | None, hop: Record, number: int
) -> Record:
    """Put a hop together from what is stored of it.

    Parameters
    ----------
    row : dict
        The material's row of the view `rankings`.
    structure_json : str
        The cleaned structure as pymatgen JSON.
    charges : sequence of float or None
        Oxidation states of its sites; None when unknown.
    hop : dict
        A row of `storage.queries.network_of`.
    number : int
        The hop's number in its network.

    Returns
    -------
    dict
        Ready for JSON but for NaN, which stands for what does not exist. The material
        (``material_id``, ``formula``, ``name``, ``working_ion``, ``state``, ``structure_hash``) and the hop
        (``number``, ``edge_id``, ``i``, ``j``, ``image``, ``also_vacant`` (site and image),
        ``also_vacant_ang``, ``distance_ang``, ``multiplicity``, ``direction_symmetric``,
        ``mechanism``, ``blocked_by``), then

        ``barrier``
            What is known of it: ``barrier_ev``, its 90% interval ``lower_ev`` to ``upper_ev``, ``method``,
            ``model_digest``, ``in_domain``, ``converged``; null where nothing is.
        ``path``
            ``kind``, ``converged``, ``collapsed``, ``missing_parameters``, ``length_ang``, the BVSE
            barriers, ``extrema`` (``along_ang``, ``energy_ev``), and ``points``, each of the path's 21 points
            and the transition state in order along the path: ``along_ang`` (from the start),
            ``position_ang``, ``energy_ev`` (BVSE above the lower end; null on a straight path), the nearest
            anions and cations (``anions``, ``cations``: each ``element``, ``distance_ang``) and ``state``
            (``initial``, ``transition``, ``final`` or null).
        ``states``
            ``initial``, ``transition`` and ``final``: ``along_ang``, ``position_ang``, ``energy_ev``,
            ``d_min_ang``, ``d_mean_ang``, ``d_max_ang``, ``coordination_number``, ``volume_ang3``
            (that of the nearest four anions where fewer coordinate), ``bond_valence_sum`` and
            ``anions``, the corners of the polyhedron, nearest first: ``element``, ``distance_ang``,
            ``position_ang``.
        ``bars``
            By cloud (``anion``, ``cation``, ``framework``, the same with ``_ion``, clouds by element):
            ``atoms`` (how many, the ion included where ``with_ion``), ``elements`` (how many of each but the
            ion), ``with_ion`` (whether the ion at the transition state is one of the points),
            ``threshold_ang``, and ``h0``, ``h1``, ``h2`` as far as the group takes them: birth and death of
            each bar in Å, the longest first.

    Raises
    ------
    FigureError
        When the hop cannot be described.
    """
    from pymatgen.core import Structure

    from tasks.candidates.cleaning_state import CHARGED
    from tasks.descriptors.errors import DescriptorError
    from tasks.descriptors.scene import survey
    from tasks.hops.sites import Charges

    structure = Structure.from_dict(json.loads(structure_json))
    values = (None,) * len(structure) if charges is None else tuple(charges)
    stripped = row.get("state") == CHARGED
    env = environment(structure, Charges(values=values, method=None), hop, stripped=stripped)
    try:
        scene = survey(env)
    except DescriptorError as error:
        raise FigureError(f"{hop['edge_id']} cannot be shown: {error}") from error
    along, vacant = _along(scene, hop), also_vacant(hop)
    return {
        **{name: row.get(name) for name in OF_MATERIAL},
        "number": number,
        **{name: hop[name] for name in OF_HOP},
        "image": [hop["ox"], hop["oy"], hop["oz"]],
        "also_vacant": vacant,
        "also_vacant_ang": None
        if vacant is None
        else structure.lattice.get_cartesian_coords(
            np.add(structure[vacant[0]].frac_coords, vacant[1:])
        ).tolist(),
        "barrier": {name: hop.get(name) for name in OF_BARRIER},
        "path": _path(scene, hop, along),
        "states": _states(scene, along),
        "bars": _bars(scene),
    }


def also_vacant(hop: Record) -> list[int] | None:
    """Return the further vacant site of a divacancy hop and its image; None for an isolated vacancy."""
    return [int(part) for part in hop["vacancy"].split("_")] if hop["vacancy"] else None


def environment(
    structure: Structure, charges: Charges, hop: Record, *, stripped: bool = False
) -> HopEnvironment:
    """Cut the surroundings of a stored hop out of its crystal, along the path that is stored.

    Parameters
    ----------
    structure : Structure
        The stored crystal.
    charges : Charges
        Oxidation states of its sites.
    hop : dict
        A row of `storage.queries.network_of`.
    stripped : bool
        Whether it is a hop in a charged host, where the ion is the only one.

    Returns
    -------
    HopEnvironment
        What the descriptors of this hop were taken from.
    """
    from tasks.hops.path import hop_environment

    i, j, image = hop["i"], hop["j"], (hop["ox"], hop["oy"], hop["oz"])
    n_atoms = len(structure)
    # Only the ends of a hop can be sites without an atom; other empty sites are nothing to it.
    empty = np.full((max(i, j, n_atoms - 1) + 1 - n_atoms, 3), np.nan)
    for end, frac, cell in ((i, hop["frac_i"], (0, 0, 0)), (j, hop["frac_j"], image)):
        if end >= n_atoms:
            empty[end - n_atoms] = np.subtract(frac, cell)
    vacant = also_vacant(hop)
    return hop_environment(
        structure,
        charges,
        i,
        j,
        image,
        working_ion=hop["working_ion"],
        also_vacant=None if vacant is None else (vacant[0], vacant[1], vacant[2], vacant[3]),
        empty_sites_frac=empty,
        relaxed=relaxed_path(hop),
        stripped=stripped,
    )


def relaxed_path(hop: Record) -> RelaxedPath | None:
    """Return the relaxed path that a row holds; None for the straight line."""
    from tasks.hops.curve import Curve
    from tasks.hops.relaxed_path import RelaxedPath

    if hop["path_energies_ev"] is None or hop["path_kind"] == "straight":
        return None
    positions = np.array(hop["path_ang"], dtype=np.float64)
    residual = hop["path_residual_force_ev_ang"]
    return RelaxedPath(
        kind=hop["path_kind"],
        positions_ang=positions,
        energies_ev=np.array(hop["path_energies_ev"], dtype=np.float64),
        # The place itself is not stored: it lies on the curve through the points, within 0.02 Å.
        saddle_ang=Curve(positions).at(np.array([hop["saddle_fraction"]]))[0],
        saddle_fraction=hop["saddle_fraction"],
        barrier_forward_ev=hop["bvse_barrier_forward_ev"],
        barrier_reverse_ev=hop["bvse_barrier_reverse_ev"],
        converged=hop["path_converged"],
        residual_force_ev_ang=float("nan") if residual is None else residual,
        steps=hop["path_steps"],
        collapsed=bool(hop["collapsed"]),
        end_shift_ang=hop["end_shift_ang"],
    )


def _along(scene: Scene, hop: Record) -> NDArray[np.float64]:
    """Return how far along the path its points lie and, last, the transition state."""
    steps = np.linalg.norm(np.diff(scene.env.path_ang, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    share = 0.5 if scene.env.relaxed is None else float(hop["saddle_fraction"])
    found: NDArray[np.float64] = np.append(along, share * along[-1])
    return found


def _symbols(scene: Scene) -> NDArray[np.str_]:
    """Return the element symbol of each host atom."""
    from pymatgen.core import Element

    by_number = {number: Element.from_Z(number).symbol for number in set(scene.env.numbers.tolist())}
    return np.array([by_number[number] for number in scene.env.numbers.tolist()], dtype=np.str_)


def _path(scene: Scene, hop: Record, along: NDArray[np.float64]) -> Record:
    """Return the path, point by point."""
    from tasks.descriptors.scene import N_POINTS, SADDLE

    symbols = _symbols(scene)
    names = {0: STATES[0], SADDLE: STATES[1], N_POINTS - 1: STATES[2]}
    extrema = zip(hop["extrema_fraction"] or (), hop["extrema_ev"] or (), strict=True)
    length_ang = float(along[N_POINTS - 1])
    return {
        "kind": hop["path_kind"],
        "converged": hop["path_converged"],
        "collapsed": hop["collapsed"],
        "missing_parameters": hop["missing_parameters"],
        "length_ang": length_ang,
        "d_min_ang": float(scene.distances_ang[:N_POINTS, scene.is_anion].min()),
        **{name: hop[name] for name in OF_BVSE},
        "extrema": [
            {"along_ang": fraction * length_ang, "energy_ev": energy} for fraction, energy in extrema
        ],
        "points": [
            {
                "state": names.get(point),
                "along_ang": float(along[point]),
                "position_ang": scene.points_ang[point].tolist(),
                "energy_ev": float(scene.energies_ev[point]) + 0.0,
                "anions": _nearest(scene, point, symbols, scene.is_anion, N_ANIONS),
                "cations": _nearest(scene, point, symbols, scene.is_cation, N_CATIONS),
            }
            # The transition state comes before the path point that it coincides with.
            for point in sorted(range(SADDLE + 1), key=lambda k: (along[k], -k))
        ],
    }


def _nearest(
    scene: Scene, point: int, symbols: NDArray[np.str_], mask: NDArray[np.bool_], count: int
) -> list[Record]:
    """Return the nearest atoms of a role within the reach of the descriptors, nearest first."""
    from tasks.descriptors.scene import CUTOFF_ANG

    members = np.flatnonzero(mask)
    distances = scene.distances_ang[point, members]
    order = np.argsort(distances, kind="stable")[:count]
    return [
        {"element": str(symbols[members[k]]), "distance_ang": float(distances[k])}
        for k in order
        if distances[k] < CUTOFF_ANG
    ]


def _states(scene: Scene, along: NDArray[np.float64]) -> Record:
    """Return the initial, transition and final states with their polyhedra."""
    from tasks.descriptors.local import coordinating, polyhedron
    from tasks.descriptors.profile import channels
    from tasks.descriptors.scene import N_POINTS, SADDLE

    image, symbols = channels(scene), _symbols(scene)
    states = {}
    for name, point in zip(STATES, (0, SADDLE, N_POINTS - 1), strict=True):
        mean_ang = float(image["mean_anion_ang"][point])
        shape = polyhedron(scene, point, mean_ang)
        corners, _ = coordinating(scene, point, mean_ang)
        states[name] = {
            "along_ang": float(along[point]),
            "position_ang": scene.points_ang[point].tolist(),
            "energy_ev": float(scene.energies_ev[point]) + 0.0,
            **{key: shape[key] for key in ("d_min_ang", "d_mean_ang", "d_max_ang")},
            "coordination_number": shape["coordination_number"],
            "volume_ang3": shape["volume_ang3"],
            "bond_valence_sum": float(image["bond_valence_sum"][point]),
            "anions": [
                {
                    "element": str(symbols[atom]),
                    "distance_ang": float(scene.distances_ang[point, atom]),
                    "position_ang": scene.env.coords_ang[atom].tolist(),
                }
                for atom in corners
            ],
        }
    return states


def _bars(scene: Scene) -> Record:
    """Return the barcode of each cloud of the descriptor group `topology`, with and without the ion."""
    from tasks.descriptors.persistence import bars_of
    from tasks.descriptors.topology import clouds, element_clouds, rips_inputs

    symbols = _symbols(scene)
    members = clouds(scene) | element_clouds(scene)
    found = {}
    for given in rips_inputs(scene):
        atoms = members[given.cloud.removesuffix("_ion")]
        names, counts = np.unique(symbols[atoms], return_counts=True)
        found[given.cloud] = {
            "atoms": len(given.distances_ang),
            "elements": {str(name): int(count) for name, count in zip(names, counts, strict=True)},
            "with_ion": given.cloud.endswith("_ion"),
            "threshold_ang": given.threshold_ang,
            **{
                f"h{dimension}": _longest_first(bars)
                for dimension, bars in enumerate(
                    bars_of(given.distances_ang, given.max_dimension, given.threshold_ang)
                )
            },
        }
    return found


def _longest_first(bars: NDArray[np.float64]) -> list[list[float]]:
    """Return bars by falling length, those of one length by birth."""
    length = np.round(bars[:, 1] - bars[:, 0], 6)
    found: list[list[float]] = bars[np.lexsort((bars[:, 0], -length))].tolist()
    return found
