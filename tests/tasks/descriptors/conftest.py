"""Hops to describe: clusters placed by hand, and hops of three crystals built from their space groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from tasks.hops.path import HopEnvironment, hop_environment
from tasks.hops.relax import relaxed_environments
from tasks.hops.sites import Charges

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

STATES = {"Li": 1.0, "Co": 3.0, "Fe": 2.0, "P": 5.0, "O": -2.0, "F": -1.0}


@dataclass(frozen=True)
class CrystalHop:
    """A hop of a crystal: what `hop_environment` takes."""

    structure: Structure
    i: int
    j: int
    image: tuple[int, int, int]

    def environment(self, **options: object) -> HopEnvironment:
        charges = Charges(tuple(STATES[site.specie.symbol] for site in self.structure), "composition")
        return hop_environment(
            self.structure, charges, self.i, self.j, self.image, working_ion="Li", **options
        )

    def relaxed(self) -> HopEnvironment:
        return relaxed_environments([self.environment])[0]


def nearest_hop(structure: Structure) -> CrystalHop:
    """The shortest hop between Li sites, the first in (i, j, image) where several are equally short."""
    sites = [k for k, site in enumerate(structure) if site.specie.symbol == "Li"]
    found = []
    for i in sites:
        for j in sites:
            for image in np.ndindex(3, 3, 3):
                shift = np.array(image) - 1
                step = structure.frac_coords[j] + shift - structure.frac_coords[i]
                length = float(np.linalg.norm(step @ structure.lattice.matrix))
                if length > 0.1:
                    found.append((round(length, 6), i, j, tuple(int(s) for s in shift)))
    _, i, j, shift = min(found)
    return CrystalHop(structure, i, j, shift)


def layered() -> Structure:
    """LiCoO2, R-3m."""
    return Structure.from_spacegroup(
        "R-3m",
        Lattice.hexagonal(2.816, 14.05),
        ["Li", "Co", "O"],
        [[0.0, 0.0, 0.5], [0.0, 0.0, 0.0], [0.0, 0.0, 0.2605]],
    )


def olivine() -> Structure:
    """LiFePO4, Pnma."""
    coords = [
        [0.0, 0.0, 0.0],
        [0.2822, 0.25, 0.9747],
        [0.0949, 0.25, 0.4182],
        [0.0968, 0.25, 0.7428],
        [0.4571, 0.25, 0.2060],
        [0.1656, 0.0465, 0.2848],
    ]
    return Structure.from_spacegroup(
        "Pnma", Lattice.orthorhombic(10.332, 6.010, 4.692), ["Li", "Fe", "P", "O", "O", "O"], coords
    )


def rocksalt() -> Structure:
    """LiF, Fm-3m: every tie that symmetry can make."""
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.027), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]])


BUILDERS: dict[str, Callable[[], Structure]] = {"layered": layered, "olivine": olivine, "rocksalt": rocksalt}


@pytest.fixture(scope="session")
def crystal_hops() -> dict[str, CrystalHop]:
    return {name: nearest_hop(build()) for name, build in BUILDERS.items()}


@pytest.fixture(scope="session")
def relaxed_hops(crystal_hops: dict[str, CrystalHop]) -> dict[str, HopEnvironment]:
    return {name: hop.relaxed() for name, hop in crystal_hops.items()}


@pytest.fixture
def place() -> Callable[..., HopEnvironment]:
    """Put anions and cations around a straight path by hand."""

    def build(
        start: list[float],
        end: list[float],
        anions: NDArray[np.float64],
        cations: NDArray[np.float64] | None = None,
        *,
        ion: str = "Li",
        cation_charge: float = 3.0,
        anion_charge: float = -2.0,
    ) -> HopEnvironment:
        anions = np.asarray(anions, dtype=float).reshape(-1, 3)
        cations = np.empty((0, 3)) if cations is None else np.asarray(cations, dtype=float).reshape(-1, 3)
        n, m = len(anions), len(cations)
        share = np.linspace(0.0, 1.0, 21)[:, None]
        return HopEnvironment(
            working_ion=ion,
            path_ang=(1.0 - share) * np.array(start, dtype=float) + share * np.array(end, dtype=float),
            coords_ang=np.concatenate([anions, cations]),
            numbers=np.array([8] * n + [27] * m, dtype=np.int64),
            charges=np.array([anion_charge] * n + [cation_charge] * m),
            radius_ang=8.0,
            composition={ion: 2.0, "O": 4.0, "Co": 2.0},
            volume_ang3=64.0,
            n_sites=8,
            host_working_ion_fraction=1.0,
            working_ion_charge=1.0,
        )

    return build
