"""Writes small files in LiTraj's published layout."""

from __future__ import annotations

import csv

import numpy as np
from ase import Atoms
from ase.io import write

INDEX = ("material_id", "edge_id", "chemsys", "has_specific_TM", "em_bvse", "em_dft", "_split")


def atoms_of(structure):
    """A structure as ase has it."""
    return Atoms(
        [site.specie.symbol for site in structure],
        scaled_positions=structure.frac_coords,
        cell=structure.lattice.matrix,
        pbc=True,
    )


def edge_id(material, i, j, image):
    return f"{material}_{i}_{j}_{'_'.join(map(str, image))}"


def trajectory(structure, i, j, image, repeats, *, n_images=5, shift=(0.0, 0.0, 0.0)):
    """Images of a hop in a supercell whose final end is vacant, wrapped into the cell."""
    cell = atoms_of(structure)
    big = cell.repeat(repeats)
    lattice = cell.cell.array
    start = cell.positions[i]
    end = cell.positions[j] + np.asarray(image) @ lattice
    apart = big.get_scaled_positions() - np.linalg.solve(big.cell.array.T, end)
    vacant = int(np.argmin(np.linalg.norm((apart - np.round(apart)) @ big.cell.array, axis=1)))
    images = []
    for share in np.linspace(0.0, 1.0, n_images):
        image_atoms = big.copy()
        image_atoms.positions[i] = (1.0 - share) * start + share * end
        image_atoms.positions[i] += 0.2 * np.sin(np.pi * share) * np.array([0.0, 0.0, 1.0])
        del image_atoms[vacant]
        image_atoms.positions += np.asarray(shift)
        image_atoms.wrap()
        images.append(image_atoms)
    return images


def centroid(structure, i, j, image, repeats, em, material, *, edge=None):
    """A supercell with an atom X halfway between the ends of a hop."""
    cell = atoms_of(structure)
    end = cell.positions[j] + np.asarray(image) @ cell.cell.array
    big = cell.repeat(repeats)
    big.append("X")
    big.positions[-1] = 0.5 * (cell.positions[i] + end)
    big.wrap()
    big.info = {
        "edge_id": edge_id(material, i, j, image) if edge is None else edge,
        "material_id": material,
        "em": em,
    }
    return big


def write_index(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, INDEX)
        writer.writeheader()
        for row in rows:
            writer.writerow({name: row.get(name, "") for name in INDEX})


def write_nebdft2k(folder, hops):
    """`hops`: material, structure, i, j, image, repeats, em, split."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, marks = [], []
    for material, structure, i, j, image, repeats, em, split in hops:
        name = edge_id(material, i, j, image)
        images = trajectory(structure, i, j, image, repeats, shift=(1.3, -0.4, 2.2))
        for kind in ("init", "relaxed"):
            write(folder / f"{name}_{kind}.xyz", images, format="extxyz")
        marks.append(centroid(structure, i, j, image, repeats, em, material))
        rows.append(
            {"material_id": material, "edge_id": name, "em_dft": em, "em_bvse": 2.0 * em, "_split": split}
        )
    write_index(folder / "nebDFT2k_index.csv", rows)
    write(folder / "nebDFT2k_centroids.xyz", marks, format="extxyz")


def write_nebbvse122k(folder, frames):
    """`frames`: split to frames."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for split, atoms in frames.items():
        write(folder / f"nebBVSE122k_{split}.xyz", atoms, format="extxyz")
        rows += [
            {
                "edge_id": a.info["edge_id"],
                "material_id": a.info["material_id"],
                "em": a.info["em"],
                "_split": split,
            }
            for a in atoms
        ]
    with (folder / "nebBVSE122k_index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ("material_id", "edge_id", "_split", "em"))
        writer.writeheader()
        writer.writerows(rows)
