"""One material of the protocol server: what an index knows of it, and all that follows from that."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, cached_property, lru_cache
from typing import Any

import numpy as np
from emmet.core.types.typing import format_identifier
from pymatgen.core import Composition, Element, Lattice

from tests.servers.prototypes import Symmetry, prototype, symmetry

FIRST_UPDATE = datetime(2024, 1, 1)  # noqa: DTZ001 - the database's stamps bear no zone
GNOME_BATCH = "gnome_r2scan_statics"
CHARGED_OFFSET = 1_000_000
FARADAY_MAH_MOL = 96485.33212 / 3.6
AVOGADRO_ANG3_CM3 = 0.602214076


@lru_cache(maxsize=4096)
def alpha(number: int) -> str:
    """Return the spelling mp-aaaa... of a number."""
    return str(format_identifier(f"mp-{number}", legacy=False))


@dataclass(slots=True)
class Facts:
    """The little that is kept of every material; what else there is follows from it."""

    number: int
    prototype: str
    metals: tuple[str, ...]
    ion: str
    scale: float
    e_hull_ev: float
    gap_ev: float
    voltage_v: float
    volume_change: float
    stability_charge_ev: float
    theoretical: bool
    gnome: bool
    deprecated: bool
    electrode: bool
    alpha: bool
    age_min: int
    structure_edits: int = 0
    metadata_edits: int = 0
    drifts: int = 0
    vanished: bool = False

    @property
    def material_id(self) -> str:
        """The normal spelling, mp-aaaa..."""
        return alpha(self.number)


@cache
def mass(symbol: str) -> float:
    return float(Element(symbol).atomic_mass)


@lru_cache(maxsize=4096)
def formulas(counts: tuple[tuple[str, int], ...]) -> tuple[str, str]:
    """Return the reduced formula and the anonymous one."""
    composition = Composition(dict(counts))
    return composition.reduced_formula, composition.anonymized_formula


class Material:
    """A view of one material's facts, from which its documents' fields are read."""

    def __init__(self, facts: Facts, db_version: str, *, alpha: bool | None = None) -> None:
        self.facts = facts
        self.db_version = db_version
        self.alpha = facts.alpha if alpha is None else alpha

    def spelled(self, number: int) -> str:
        return alpha(number) if self.alpha else f"mp-{number}"

    @property
    def material_id(self) -> str:
        return self.spelled(self.facts.number)

    @property
    def charged_id(self) -> str:
        return self.spelled(self.facts.number + CHARGED_OFFSET)

    @property
    def battery_number(self) -> int:
        """Number in the battery's id: the least of its materials', which drifts as lower ones are added."""
        return self.facts.number - self.facts.drifts

    @cached_property
    def species(self) -> tuple[str, ...]:
        return prototype(self.facts.prototype).decorated(self.facts.metals, self.facts.ion)

    @cached_property
    def counts(self) -> dict[str, int]:
        return dict(sorted(Counter(self.species).items()))

    @cached_property
    def composition(self) -> Composition:
        return Composition(self.counts)

    @cached_property
    def host_counts(self) -> dict[str, int]:
        return {symbol: n for symbol, n in self.counts.items() if symbol != self.facts.ion}

    @cached_property
    def host(self) -> Composition:
        return Composition(self.host_counts)

    @property
    def formula(self) -> str:
        return formulas(tuple(self.counts.items()))[0]

    @property
    def host_formula(self) -> str:
        return formulas(tuple(self.host_counts.items()))[0]

    @property
    def formula_anonymous(self) -> str:
        return formulas(tuple(self.counts.items()))[1]

    @property
    def host_formula_anonymous(self) -> str:
        return formulas(tuple(self.host_counts.items()))[1]

    @property
    def elements(self) -> list[str]:
        return list(self.counts)

    @property
    def chemsys(self) -> str:
        return "-".join(self.counts)

    @cached_property
    def matrix(self) -> np.ndarray:
        """A changed structure is 1% longer along its first axis, as after another relaxation."""
        matrix = prototype(self.facts.prototype).matrix_ang * self.facts.scale
        matrix[0] *= 1.01**self.facts.structure_edits
        return matrix

    @cached_property
    def volume_ang3(self) -> float:
        return float(abs(np.linalg.det(self.matrix)))

    @cached_property
    def mass_g_mol(self) -> float:
        return sum(mass(symbol) * n for symbol, n in self.counts.items())

    @property
    def density_g_cm3(self) -> float:
        return self.mass_g_mol / self.volume_ang3 / AVOGADRO_ANG3_CM3

    @property
    def e_hull_ev(self) -> float:
        return self.facts.e_hull_ev + 0.001 * self.facts.metadata_edits

    @property
    def energy_ev(self) -> float:
        return -4.0 - 0.1 * len(self.counts) + self.e_hull_ev

    @property
    def last_updated(self) -> str:
        edits = self.facts.structure_edits + self.facts.metadata_edits
        stamp = FIRST_UPDATE + timedelta(minutes=self.facts.age_min, days=30 * edits)
        return stamp.isoformat(timespec="microseconds")

    @property
    def symmetry(self) -> Symmetry:
        return symmetry(self.facts.prototype, self.facts.metals)

    @property
    def ions(self) -> int:
        return self.counts[self.facts.ion]

    @property
    def capacity_mah_g(self) -> float:
        return self.ions * FARADAY_MAH_MOL / self.mass_g_mol

    @property
    def capacity_mah_cm3(self) -> float:
        return self.capacity_mah_g * self.density_g_cm3

    def structure(self, *, without_ion: bool = False) -> dict[str, Any]:
        """Return the structure as pymatgen's as_dict gives it, or the host that is left of it."""
        lattice = Lattice(self.matrix)
        cell = prototype(self.facts.prototype)
        cart = (cell.frac_coords @ self.matrix).tolist()
        return {
            "@module": "pymatgen.core.structure",
            "@class": "Structure",
            "charge": 0.0,
            "lattice": {
                "matrix": self.matrix.tolist(),
                "pbc": [True, True, True],
                **dict(zip(("a", "b", "c"), (float(x) for x in lattice.abc), strict=True)),
                **dict(zip(("alpha", "beta", "gamma"), (float(x) for x in lattice.angles), strict=True)),
                "volume": self.volume_ang3,
            },
            "properties": {},
            "sites": [
                {
                    "species": [{"element": symbol, "occu": 1}],
                    "abc": abc,
                    "xyz": xyz,
                    "properties": {"magmom": 0.0},
                    "label": symbol,
                }
                for symbol, abc, xyz in zip(self.species, cell.frac_lists, cart, strict=True)
                if not (without_ion and symbol == self.facts.ion)
            ],
        }


def reduced(counts: dict[str, int]) -> dict[str, float]:
    """Return amounts divided by their greatest common divisor."""
    divisor = math.gcd(*counts.values())
    return {symbol: float(n // divisor) for symbol, n in counts.items()}
