"""A material's hop network as one record: sites, distinct hops, every equivalent hop, and what opens when."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from storage import queries
from tasks.reports.empty_sites import empty_site_positions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pymatgen.core import Structure

Record = dict[str, Any]

OCCUPIED, EMPTY = "occupied", "empty"

OF_MATERIAL = (
    "material_id", "formula", "name", "working_ion", "state", "structure_hash", "space_group_symbol",
    "space_group_number", "percolation_dim", "barrier_at_dim_ev", "lower_ev", "upper_ev", "reason",
)  # fmt: skip
NOT_OF_HOP = ("structure_hash", "working_ion", "material_id", "orbit", "orbit_also_vacant", "ox", "oy", "oz")


def network(database: str | Path, row: Record) -> Record:
    """Collect a material's hop network.

    Parameters
    ----------
    database : str or Path
        The published database.
    row : dict
        The material's row of the view `rankings`.

    Returns
    -------
    dict
        As `build_network` returns it.
    """
    digest, ion = row["structure_hash"], row["working_ion"]
    percolation = queries.percolation_of(database, digest, ion)
    return build_network(
        row,
        queries.structure_of(database, digest),
        queries.network_of(database, digest, ion),
        percolation[0] if percolation else None,
    )


def build_network(
    row: Record, structure_json: str | None, hops: Sequence[Record], percolation: Record | None
) -> Record:
    """Put a hop network together from what is stored of it.

    Parameters
    ----------
    row : dict
        The material's row of the view `rankings`.
    structure_json : str or None
        The cleaned structure as pymatgen JSON.
    hops : sequence of dict
        Rows of `storage.queries.network_of`.
    percolation : dict or None
        Row of the table `percolation`, where there is one.

    Returns
    -------
    dict
        Ready for JSON: what the ranking says of the material, ``lattice_ang``, ``conventional`` (lattice and
        origin of the cell that directions are named in), ``nodes`` (sites of the network), ``host`` (other
        atoms), ``hops`` (distinct ones, numbered from 1), ``edges`` (all their equivalents) and ``levels``
        (what opens 1, 2 and 3 dimensions).
    """
    from pymatgen.core import Structure

    structure = None if structure_json is None else Structure.from_dict(json.loads(structure_json))
    levels = [] if percolation is None or structure is None else _levels(structure, percolation, hops)
    nodes = [] if structure is None else _nodes(structure, row["working_ion"], hops)
    frac = {node["index"]: node["frac"] for node in nodes}
    lattice = None if structure is None else np.asarray(structure.lattice.matrix, dtype=np.float64)
    mobile = {node["index"] for node in nodes}
    return {
        **{name: row.get(name) for name in OF_MATERIAL},
        "site_energies": "unknown" if percolation is None else percolation["site_energies"],
        "site_energy_difference_ev": None
        if percolation is None
        else percolation["site_energy_difference_ev"],
        "lattice_ang": None if lattice is None else lattice.tolist(),
        "conventional": None if structure is None else _conventional(structure),
        "nodes": nodes,
        "host": [
            {"index": k, "element": site.specie.symbol, "frac": site.frac_coords.tolist()}
            for k, site in enumerate(structure or ())
            if k not in mobile
        ],
        "hops": [_hop(number, hop, levels, row) for number, hop in enumerate(hops, 1)],
        "edges": [edge for number, hop in enumerate(hops, 1) for edge in _edges(number, hop, frac, lattice)],
        "levels": levels,
    }


def _conventional(structure: Structure) -> Record:
    """Return the conventional cell as it lies in the crystal; the stored one where there is no symmetry."""
    from tasks.hops.symmetry import DEFAULT_SYMPREC_ANG, symmetry_dataset

    lattice = np.asarray(structure.lattice.matrix, dtype=np.float64)
    dataset = symmetry_dataset(structure, DEFAULT_SYMPREC_ANG)
    if dataset is None:
        return {"lattice_ang": lattice.tolist(), "origin_frac": [0.0, 0.0, 0.0]}
    # Positions transform as x_std = P x + p: the conventional vectors are the columns of P^-1.
    inverse = np.linalg.inv(dataset.transformation_matrix)
    return {
        "lattice_ang": (inverse.T @ lattice).tolist(),
        "origin_frac": (-inverse @ dataset.origin_shift).tolist(),
    }


def _nodes(structure: Structure, ion: str, hops: Sequence[Record]) -> list[Record]:
    """Return the sites of the network: where they lie, which are equivalent, which hops lead away."""
    from tasks.hops.site_energies import site_classes

    isolated = [hop["orbit"] if not hop["vacancy"] else [] for hop in hops]
    classes = site_classes(structure, isolated)
    occupied = {k: site.frac_coords.tolist() for k, site in enumerate(structure) if site.specie.symbol == ion}
    places = occupied | empty_site_positions(structure, hops)
    leaving: dict[int, Counter[int]] = {index: Counter() for index in places}
    for number, orbit in enumerate(isolated, 1):
        for i, j, *_ in orbit:
            leaving[i][number] += 1
            leaving[j][number] += 1
    names = {name: k for k, name in enumerate(dict.fromkeys(classes[k] for k in sorted(classes)), 1)}
    return [
        {
            "index": index,
            "kind": OCCUPIED if index in occupied else EMPTY,
            "element": ion if index in occupied else None,
            "frac": places[index],
            "class": names[classes[index]] if index in classes else None,
            "hops": dict(sorted(leaving[index].items())),
        }
        for index in sorted(places)
    ]


def _levels(structure: Structure, percolation: Record, hops: Sequence[Record]) -> list[Record]:
    """Return what opens each dimension that is reached: over what barrier, by which hop, along what."""
    from tasks.hops.directions import conventional_direction

    numbers = {hop["edge_id"]: number for number, hop in enumerate(hops, 1)}
    levels = []
    for dim in (1, 2, 3):
        if percolation[f"barrier_{dim}d_ev"] is None:
            continue
        directions = [tuple(vector) for vector in percolation[f"directions_{dim}d"] or ()]
        levels.append(
            {
                "dim": dim,
                "barrier_ev": percolation[f"barrier_{dim}d_ev"],
                "lower_ev": percolation[f"lower_{dim}d_ev"],
                "upper_ev": percolation[f"upper_{dim}d_ev"],
                "hop": numbers.get(percolation[f"limiting_edge_{dim}d"]),
                "edge_id": percolation[f"limiting_edge_{dim}d"],
                "directions": [list(vector) for vector in directions],
                "direction_conventional": conventional_direction(structure, directions),
            }
        )
    return levels


def _hop(number: int, hop: Record, levels: Sequence[Record], row: Record) -> Record:
    """Return a distinct hop with its number, and what it opens."""
    opened = [level["dim"] for level in levels if level["hop"] == number]
    return {
        "number": number,
        **{name: value for name, value in hop.items() if name not in NOT_OF_HOP},
        "image": [hop["ox"], hop["oy"], hop["oz"]],
        "also_vacant": [int(part) for part in hop["vacancy"].split("_")] if hop["vacancy"] else None,
        "carries_percolation": hop["blocked_by"] is None and not hop["vacancy"] and hop["method"] is not None,
        "opens_dims": opened,
        "rate_limiting": row["percolation_dim"] in opened,
    }


def _edges(
    number: int, hop: Record, frac: dict[int, list[float] | None], lattice: np.ndarray[Any, Any] | None
) -> list[Record]:
    """Return every equivalent of a hop."""
    vacant = hop["orbit_also_vacant"] or [None] * len(hop["orbit"])
    edges = []
    for (i, j, *image), also_vacant in zip(hop["orbit"], vacant, strict=True):
        start, end = frac.get(i), frac.get(j)
        length_ang = hop["distance_ang"]
        if start is not None and end is not None and lattice is not None:
            length_ang = float(np.linalg.norm((np.add(end, image) - start) @ lattice))
        edges.append(
            {
                "hop": number,
                "i": i,
                "j": j,
                "image": image,
                "also_vacant": also_vacant,
                "length_ang": length_ang,
                "barrier_ev": hop["barrier_ev"],
                "mechanism": hop["mechanism"],
                "blocked_by": hop["blocked_by"],
            }
        )
    return edges
