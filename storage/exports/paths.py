"""Hop paths as extended XYZ in the layouts of LiTraj, under the keys that it has for them.

A trajectory is what nebDFT2k holds: a supercell in which the moving ion stands at one point of its path an
image, and its vacant end stays empty. A centroid is what nebBVSE122k holds: the supercell with both ends
filled, and an atom X halfway between them. Each frame says `edge_id`, `material_id` and, where a barrier is
known, `em` in eV; with it come the method, its interval and what else lihop knows of the hop.

References
----------
Dembitskiy et al., npj Comput. Mater. 11, 131 (2025), doi:10.1038/s41524-025-01571-z.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np

from storage.exports.extxyz import NO_ATOM, write_frame
from storage.exports.materials import structure_of, with_structures
from storage.exports.places import Names, writing_file
from storage.exports.structures import XYZ, ending_of
from storage.queries import network_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import duckdb
    from ase import Atoms
    from numpy.typing import NDArray

    from storage.asking import Record

MIN_HEIGHT_ANG = 8.0
"""A supercell is at least so thick in every direction, so that the ion's images are far from each other."""

STRAIGHT_POINTS = 21
"""Images of a path that is not stored, which is a straight one."""

INDEX = "nebDFT2k_index.csv"
INDEX_COLUMNS = (
    "material_id", "edge_id", "chemsys", "em_bvse", "em_dft", "_split", "em", "method", "model_digest",
    "lower_ev", "upper_ev", "in_domain",
)  # fmt: skip
SPLIT = "test"
"""No model of lihop's was trained on these: they are to be compared with."""

OF_HOP = (
    "method", "model_digest", "lower_ev", "upper_ev", "in_domain", "converged", "path_kind", "path_converged",
    "path_residual_force_ev_ang", "blocked_by", "mechanism", "distance_ang", "multiplicity",
)  # fmt: skip
OF_MATERIAL = ("formula", "source", "working_ion", "state", "structure_hash")


def write_paths(
    connection: duckdb.DuckDBPyConnection, rows: Sequence[Record], output: Path, *, centroids: bool = False
) -> int:
    """Write the hop paths of some materials, a hop at a time.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        As `storage.database.reading` opens it.
    rows : sequence of dict
        Ranking rows of the materials.
    output : Path
        ``.extxyz`` or ``.xyz`` for one file of all images, or a folder in the layout of nebDFT2k: a file a
        hop, and a table in which `em_dft` is filled only where the barrier is a DFT one.
    centroids : bool
        Write a frame a hop as nebBVSE122k has them instead of trajectories; into one file.

    Returns
    -------
    int
        How many hops were written.

    Raises
    ------
    QueryError
        When the name ends otherwise, or a file cannot be written.
    """
    hops = _hops(connection, rows)
    if ending_of(output, XYZ) == "" and not centroids:
        return _write_folder(hops, output)
    n_written = 0
    with writing_file(output) as temporary, temporary.open("w", encoding="utf-8") as file:
        for material, hop in hops:
            frames = [centroid(material, hop)] if centroids else trajectory(material, hop)
            for frame in frames:
                write_frame(file, frame)
            n_written += 1
    return n_written


def trajectory(material: Record, hop: Record) -> Iterator[Atoms]:
    """Yield the images of a hop from its end i to its end j.

    Parameters
    ----------
    material : dict
        A row of `storage.exports.materials.with_structures`.
    hop : dict
        A row of `storage.queries.network_in`.

    Yields
    ------
    ase.Atoms
        The moving ion is the atom `moving_atom`; it is not wrapped into the cell.
    """
    from ase import Atom

    crystal = _Supercell(material, hop)
    images = _images(crystal, hop)
    atoms, moving = crystal.atoms.copy(), crystal.place(hop["i"], (0, 0, 0))
    if moving is None:
        moving = len(atoms)
        atoms.append(Atom(material["working_ion"]))
    vacant = [(hop["j"], _offset(hop)), *_also_vacant(hop)]
    places = [crystal.place(site, image) for site, image in vacant]
    gone = sorted(place for place in places if place is not None)
    del atoms[gone]
    moving -= sum(place < moving for place in gone)
    energies = hop["path_energies_ev"]
    for number, point in enumerate(images):
        atoms.positions[moving] = point
        atoms.info = _about(material, hop, crystal) | {
            "image_number": number,
            "n_images": len(images),
            "moving_atom": moving,
            "bvse_energy_ev": None if energies is None else energies[number],
        }
        yield atoms


def centroid(material: Record, hop: Record) -> Atoms:
    """Return the frame of a hop that marks the point halfway between its filled ends."""
    from ase import Atoms

    crystal = _Supercell(material, hop)
    atoms = crystal.atoms.copy()
    ends = crystal.ends(hop)
    places = (crystal.place(hop["i"], (0, 0, 0)), crystal.place(hop["j"], _offset(hop)))
    empty = [end for end, place in zip(ends, places, strict=True) if place is None]
    atoms += Atoms([material["working_ion"]] * len(empty), positions=np.reshape(empty, (-1, 3)))
    atoms += Atoms([NO_ATOM], positions=[ends.mean(axis=0)])
    atoms.wrap()
    atoms.info = _about(material, hop, crystal)
    return atoms


class _Supercell:
    """A crystal repeated so often that a hop does not end at an image of where it began."""

    def __init__(self, material: Record, hop: Record) -> None:
        from ase import Atoms

        structure = structure_of(material)
        self.lattice: NDArray[np.float64] = np.array(structure.lattice.matrix)
        self.frac: NDArray[np.float64] = structure.frac_coords
        heights = 1.0 / np.linalg.norm(np.linalg.inv(self.lattice), axis=0)
        thick = np.ceil(MIN_HEIGHT_ANG / heights).astype(int)
        # All sites that the hop leaves empty lie in it, and none is an image of another.
        images = [(0, 0, 0), _offset(hop), *(image for _, image in _also_vacant(hop))]
        self.repeats = [max(int(n), int(m) + 1) for n, m in zip(thick, np.ptp(images, axis=0), strict=True)]
        cell = Atoms(
            symbols=[site.specie.symbol for site in structure],
            scaled_positions=self.frac,
            cell=self.lattice,
            pbc=True,
        )
        self.atoms: Atoms = cell.repeat(self.repeats)

    def place(self, site: int, image: Sequence[int]) -> int | None:
        """Return the index of a site in the supercell; None for a site that no atom stands at."""
        if site >= len(self.frac):
            return None
        a, b, c = (k % n for k, n in zip(image, self.repeats, strict=True))
        return int(((a * self.repeats[1] + b) * self.repeats[2] + c) * len(self.frac) + site)

    def ends(self, hop: Record) -> NDArray[np.float64]:
        """Return where a hop begins and ends, in Å."""
        if hop["frac_i"] is not None and hop["frac_j"] is not None:
            return np.array([hop["frac_i"], hop["frac_j"]]) @ self.lattice
        return np.array([self.frac[hop["i"]], self.frac[hop["j"]] + _offset(hop)]) @ self.lattice


def _offset(hop: Record) -> tuple[int, int, int]:
    return hop["ox"], hop["oy"], hop["oz"]


def _also_vacant(hop: Record) -> list[tuple[int, tuple[int, ...]]]:
    """Return the further vacant site of a divacancy hop and its image."""
    if not hop["vacancy"]:
        return []
    site, *image = (int(part) for part in hop["vacancy"].split("_"))
    return [(site, tuple(image))]


def _images(crystal: _Supercell, hop: Record) -> NDArray[np.float64]:
    """Return the points of a hop's path, in Å."""
    if hop["path_ang"] is not None:
        return np.array(hop["path_ang"], dtype=np.float64)
    start, end = crystal.ends(hop)
    return np.linspace(start, end, STRAIGHT_POINTS)


def _about(material: Record, hop: Record, crystal: _Supercell) -> dict[str, Any]:
    """Return what a frame says of its hop; LiTraj's keys first. What is unknown is None."""
    return {
        "edge_id": hop["edge_id"],
        "material_id": hop["material_id"],
        "em": hop["barrier_ev"],
        "em_bvse": hop["bvse_barrier_ev"],
        **{name: hop[name] for name in OF_HOP},
        **{name: material[name] for name in OF_MATERIAL},
        "sites": [hop["i"], hop["j"]],
        "offset": list(_offset(hop)),
        "supercell": crystal.repeats,
    }


def _hops(connection: duckdb.DuckDBPyConnection, rows: Sequence[Record]) -> Iterator[tuple[Record, Record]]:
    """Yield the hops of some materials, each with its material."""
    for material in with_structures(connection, rows):
        for hop in network_in(connection, material["structure_hash"], material["working_ion"]):
            yield material, hop


def _write_folder(hops: Iterator[tuple[Record, Record]], folder: Path) -> int:
    """Write a file a hop, and the table of them last: where it is, the files that it names are there."""
    names = Names()
    lines = []
    for material, hop in hops:
        # The table and the frames name the hop as its file is named.
        named = hop | {"edge_id": names.stem(hop["edge_id"], hop["structure_hash"])}
        with (
            writing_file(folder / f"{named['edge_id']}_init.xyz") as temporary,
            temporary.open("w", encoding="utf-8") as file,
        ):
            for frame in trajectory(material, named):
                write_frame(file, frame)
        lines.append(_line(material, named))
    with (
        writing_file(folder / INDEX) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, INDEX_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    return len(lines)


def _line(material: Record, hop: Record) -> dict[str, Any]:
    """Return a hop's line of the table; what is unknown is an empty field."""
    by_dft = (hop["method"] or "").startswith("vasp")
    elements = {site.specie.symbol for site in structure_of(material)}
    return {
        "material_id": hop["material_id"],
        "edge_id": hop["edge_id"],
        "chemsys": "-".join(sorted(elements)),
        "em_bvse": hop["bvse_barrier_ev"],
        "em_dft": hop["barrier_ev"] if by_dft else None,
        "_split": SPLIT,
        "em": hop["barrier_ev"],
        **{name: hop[name] for name in ("method", "model_digest", "lower_ev", "upper_ev", "in_domain")},
    }
