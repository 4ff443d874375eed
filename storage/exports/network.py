"""Hop networks as JSON or extxyz; whole files or none."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from storage import atomic
from storage.errors import QueryError
from storage.exports.extxyz import NO_ATOM, plain_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ase import Atoms

NETWORK_FORMATS = (".json", ".extxyz")
NETWORK_JSON = {"format": "lihop hop network", "format_version": 1}

OF_FRAME = (
    "number", "edge_id", "i", "j", "image", "also_vacant", "mechanism", "distance_ang", "multiplicity",
    "direction_symmetric", "blocked_by", "barrier_ev", "lower_ev", "upper_ev", "method", "model_digest",
    "in_domain", "path_kind", "path_converged", "path_length_ang", "path_energies_ev", "bvse_barrier_ev",
    "bvse_site_energy_difference_ev", "opens_dims", "rate_limiting",
)  # fmt: skip
"""What a frame says of its hop, where it is known."""


def check_network_path(path: Path) -> None:
    """Refuse a file name whose ending names no format that a hop network is written in.

    Raises
    ------
    QueryError
        With the endings that there are.
    """
    if path.suffix.lower() not in NETWORK_FORMATS:
        raise QueryError(
            f"the network cannot be written to {path}: its name must end in {' or '.join(NETWORK_FORMATS)}"
        )


def export_network(network: Mapping[str, Any], path: Path) -> Path:
    """Write a whole hop network to a file, atomically: every equivalent hop, not only the distinct ones.

    Parameters
    ----------
    network : mapping
        ``lattice_ang``, ``nodes``, ``host``, ``hops`` and ``edges`` as `tasks.reports.network` puts them
        together.
    path : Path
        Where: ``.json`` for all that is known, or ``.extxyz`` for ASE, OVITO and the like, a frame a distinct
        hop: the host's atoms, the network's sites and, where it is known, the path.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    QueryError
        When the ending is another one, there is no structure to write, or the file cannot be written.
    """
    path = Path(path)
    check_network_path(path)
    if path.suffix.lower() == ".json":
        text = json.dumps(NETWORK_JSON | dict(network), indent=1) + "\n"
    else:
        text = _to_extxyz(network)
    try:
        atomic.write_text(path, text)
    except OSError as error:
        raise QueryError(f"the network cannot be written to {path}: {error.strerror}") from error
    return path


def _to_extxyz(network: Mapping[str, Any]) -> str:
    """Return a frame a distinct hop, or one of the sites alone where there is no hop."""
    from ase.io import write

    if network["lattice_ang"] is None:
        raise QueryError("the network has no structure to write: the database holds none of that material")
    stream = io.StringIO()
    hops: Sequence[Mapping[str, Any] | None] = network["hops"] or [None]
    write(stream, [_frame(network, hop) for hop in hops], format="extxyz")
    return stream.getvalue()


def _frame(network: Mapping[str, Any], hop: Mapping[str, Any] | None) -> Atoms:
    """Return the host, the sites and the path of one hop as ASE's atoms, with what is known of the hop."""
    from ase import Atoms

    places = [(atom["index"], "host", atom["element"], atom["frac"]) for atom in network["host"]]
    places += [
        (node["index"], node["kind"], node["element"] or NO_ATOM, node["frac"])
        for node in network["nodes"]
        if node["frac"] is not None
    ]
    places.sort(key=lambda place: place[0])
    atoms = Atoms(
        symbols=[element for _, _, element, _ in places],
        scaled_positions=[frac for *_, frac in places],
        cell=network["lattice_ang"],
        pbc=True,
    )
    path_ang = [] if hop is None or hop["path_ang"] is None else hop["path_ang"]
    if path_ang:
        atoms += Atoms(symbols=[NO_ATOM] * len(path_ang), positions=path_ang)
    atoms.set_array("kind", np.array([kind for _, kind, _, _ in places] + ["path"] * len(path_ang)))
    atoms.set_array("site", np.array([index for index, *_ in places] + [-1] * len(path_ang)))
    about = {name: network[name] for name in ("material_id", "formula", "working_ion")}
    if hop is not None:
        about |= {"hop" if name == "number" else name: hop.get(name) for name in OF_FRAME}
        orbit = [edge for edge in network["edges"] if edge["hop"] == hop["number"]]
        # Rows of i, j and the image, and for a divacancy hop of the further site and its image.
        about["orbit"] = [[edge["i"], edge["j"], *edge["image"]] for edge in orbit]
        about["orbit_also_vacant"] = [edge["also_vacant"] for edge in orbit if edge["also_vacant"]]
    atoms.info = {name: plain_text(value) for name, value in about.items() if value not in (None, [])}
    return atoms
