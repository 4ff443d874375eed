"""Checks of the reference set: formula, symmetry, distances, bond valence, volume, atomic positions."""

from __future__ import annotations

import json
import tomllib
import warnings
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np
import spglib
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Composition, Element, Lattice, Structure

from tasks.candidates import reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from tasks.candidates.reference import ReferenceEntry

SYMPREC_ANG = 1e-3
"""The expanded coordinates are symmetric up to their rounding."""

MAX_GII_VU = 0.30
"""Global instability index above which a structure is not believed: about 0.2 v.u. is the limit of what is
observed, a little more with DFT-relaxed or Jahn-Teller distorted ones (Salinas-Sanchez et al., J. Solid State
Chem. 100 (1992) 201)."""

MAX_VOLUME_DEVIATION = 0.06
"""DFT cells are up to about 5% larger than measured ones, LDA-like functionals a few per cent smaller."""

SAME_DETERMINATION = 1e-3
"""Volumes that agree this well come from one determination: nothing independent follows from that."""

MAX_SITE_SHIFT_ANG = 0.35
"""Largest distance between an atom here and in another description of the phase, at equal volume."""

RELAXATION_NOISE_ANG = 0.1
"""Symmetry of a relaxed supercell is looked for within this distance."""

BOND_CUTOFF_ANG = {"O": 3.2, "F": 3.2, "S": 3.6}
"""Cation-anion pairs farther apart add less than 0.01 v.u. and are left out, as when R0 was fitted."""

SITE_COUNT_TOLERANCE = 1e-3
"""Occupancies are given to five digits; formulas are compared to three."""

MIN_CATION_ANION_ANG = {"B": 1.25, "S": 1.35, "P": 1.40, "Si": 1.50, "V": 1.55, "Li": 1.70}
"""Below the usual shortest bonds: B-O 1.32, S-O 1.42, P-O 1.45, Si-O 1.57, V=O 1.58, Li-O 1.80
(O. C. Gagne, F. C. Hawthorne, Acta Crystallogr. B 72 (2016) 602 and 74 (2018) 63)."""

MIN_OTHER_CATION_ANION_ANG = 1.70
MIN_ANION_ANION_ANG = 2.15
"""O-O edges: 2.25 in BO3, 2.35 in SO4 and PO4."""

NEIGHBOUR_RADIUS_ANG = 3.5
"""Within this distance every atom of an ionic crystal has a neighbour."""

MIN_CATION_CATION_ANG = 2.20
"""Face-sharing LiO4 and LiO6 bring cations to about 2.3 Å; nothing else here comes closer than 2.5."""


class BondValenceError(ValueError):
    """No bond-valence parameter for a pair of ions."""


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one check.

    Parameters
    ----------
    name : str
        Which check.
    passed : bool or None
        None where there is nothing to compare with.
    value : float, int, str or None
        What was found.
    expected : float, int, str or None
        The limit, or what was declared.
    independent : bool
        The check compares with something other than the entry's own source.
    """

    name: str
    passed: bool | None
    value: float | str | None = None
    expected: float | str | None = None
    independent: bool = False


@cache
def _bond_valence_table() -> tuple[float, dict[tuple[str, int, str], float], dict[tuple[str, str], float]]:
    """Return b and the two tables of R0: by valence, and for any valence."""
    file = resources.files("tasks.candidates.reference_data").joinpath("bond_valence.toml")
    raw = tomllib.loads(file.read_text(encoding="utf-8"))
    by_valence = {(c, int(v), a): float(r0) for c, v, a, r0, _ in raw["r0_ang"]}
    any_valence = {(c, a): float(r0) for c, a, r0, _ in raw["r0_any_ang"]}
    return float(raw["b_ang"]), by_valence, any_valence


def bond_valence_r0_ang(cation: str, valence: float, anion: str) -> float:
    """Return R0 of a pair, interpolated between whole valences (Mn 3.5+ in spinel) where both are known.

    Raises
    ------
    BondValenceError
        When the table has no such pair.
    """
    _, by_valence, any_valence = _bond_valence_table()
    if (cation, anion) in any_valence:
        return any_valence[cation, anion]
    known = [by_valence.get((cation, v, anion)) for v in (int(np.floor(valence)), int(np.ceil(valence)))]
    found = [r0 for r0 in known if r0 is not None]
    if not found:
        raise BondValenceError(
            f"No bond-valence parameter for {cation}{valence:+g}-{anion}; add it with its reference to "
            "reference_data/bond_valence.toml."
        )
    return float(np.mean(found))


def bond_valence_sums(structure: Structure, valences: Mapping[str, float]) -> NDArray[np.float64]:
    """Return the sum of bond valences at every site, in valence units.

    Parameters
    ----------
    structure : pymatgen.core.Structure
        Ordered structure.
    valences : mapping of str to float
        Formal valence of each element, anions negative.
    """
    b_ang, _, _ = _bond_valence_table()
    centers, neighbours, _, distances = structure.get_neighbor_list(max(BOND_CUTOFF_ANG.values()))
    symbols = [site.specie.symbol for site in structure]
    sums = np.zeros(len(structure))
    for i, j, distance in zip(centers, neighbours, distances, strict=True):
        cation, anion = symbols[i], symbols[j]
        if valences[cation] <= 0 or valences[anion] >= 0 or distance > BOND_CUTOFF_ANG[anion]:
            continue
        r0 = bond_valence_r0_ang(cation, valences[cation], anion)
        valence_vu = np.exp((r0 - distance) / b_ang)
        sums[i] += valence_vu
        sums[j] += valence_vu
    return sums


def global_instability_index_vu(structure: Structure, valences: Mapping[str, float]) -> float:
    """Return the root mean square deviation of bond-valence sums from formal valences, in valence units."""
    sums = bond_valence_sums(structure, valences)
    formal = np.array([abs(valences[site.specie.symbol]) for site in structure])
    return float(np.sqrt(np.mean((sums - formal) ** 2)))


def minimum_distance_ang(first: str, second: str, valences: Mapping[str, float]) -> float:
    """Return the least distance that chemistry allows between two ions."""
    is_anion = (valences[first] < 0, valences[second] < 0)
    if all(is_anion):
        return MIN_ANION_ANION_ANG
    if not any(is_anion):
        return MIN_CATION_CATION_ANG
    cation = second if is_anion[0] else first
    return MIN_CATION_ANION_ANG.get(cation, MIN_OTHER_CATION_ANION_ANG)


def closest_pair(structure: Structure, valences: Mapping[str, float]) -> tuple[float, str, float]:
    """Return the pair nearest to its least distance.

    Returns
    -------
    tuple of (float, str, float)
        Distance over the least allowed one, the pair as text, and its distance in Å.
    """
    centers, neighbours, _, distances = structure.get_neighbor_list(NEIGHBOUR_RADIUS_ANG)
    symbols = [site.specie.symbol for site in structure]
    worst = (np.inf, "", np.inf)
    for i, j, distance in zip(centers, neighbours, distances, strict=True):
        ratio = distance / minimum_distance_ang(symbols[i], symbols[j], valences)
        if ratio < worst[0]:
            worst = (float(ratio), "-".join(sorted((symbols[i], symbols[j]))), float(distance))
    return worst


def shortest_distance_ang(structure: Structure) -> float:
    """Return the shortest distance between two sites in Å."""
    return float(structure.get_neighbor_list(NEIGHBOUR_RADIUS_ANG)[3].min())


def space_group_number(structure: Structure, symprec_ang: float = SYMPREC_ANG) -> int | None:
    """Return the number of the space group that spglib finds, None when it finds none."""
    species = sorted({site.species_string for site in structure})
    numbers = [species.index(site.species_string) + 1 for site in structure]
    cell = (structure.lattice.matrix, structure.frac_coords, numbers)
    with reference.quiet_spglib():
        dataset = spglib.get_symmetry_dataset(cell, symprec=symprec_ang)
    return None if dataset is None else int(dataset.number)


def formula_units(structure: Structure, formula: str) -> float:
    """Return how many units of `formula` the cell holds, by its oxygen, fluorine or sulfur."""
    declared = Composition(formula)
    anion = next(Element(symbol) for symbol in ("O", "S", "F") if Element(symbol) in declared)
    return float(structure.composition[anion] / declared[anion])


def volume_per_formula_ang3(structure: Structure, formula: str) -> float:
    """Return the volume of one formula unit in Å^3."""
    return float(structure.volume / formula_units(structure, formula))


def check_formula(entry: ReferenceEntry, structure: Structure) -> CheckResult:
    """Compare the expanded cell's composition with the declared formula."""
    declared = Composition(entry.formula) * formula_units(structure, entry.formula)
    n_sites = structure.composition.num_atoms
    difference = sum(abs(declared[el] - structure.composition[el]) for el in declared + structure.composition)
    passed = difference / n_sites < SITE_COUNT_TOLERANCE
    return CheckResult("formula", bool(passed), structure.composition.reduced_formula, entry.formula)


def check_space_group(entry: ReferenceEntry, structure: Structure) -> CheckResult:
    """Compare the space group that spglib finds with the declared one."""
    found = space_group_number(structure)
    return CheckResult("space_group", found == entry.space_group_number, found, entry.space_group_number)


def check_distances(entry: ReferenceEntry, structure: Structure) -> CheckResult:
    """Refuse atoms closer than chemistry allows."""
    if not structure.is_ordered:
        return CheckResult("distances", None)
    ratio, pair, distance_ang = closest_pair(structure, entry.valences)
    return CheckResult("distances", ratio >= 1.0, f"{pair} {distance_ang:.3f}", None)


def check_bond_valence(entry: ReferenceEntry, structure: Structure) -> CheckResult:
    """Compare bond-valence sums with formal valences."""
    if not structure.is_ordered:
        return CheckResult("bond_valence", None, None, MAX_GII_VU, independent=True)
    gii = global_instability_index_vu(structure, entry.valences)
    return CheckResult("bond_valence", gii < MAX_GII_VU, gii, MAX_GII_VU, independent=True)


def _check_volume(
    name: str, entry: ReferenceEntry, structure: Structure, other_ang3: float | None
) -> CheckResult:
    """Compare the volume per formula unit with another determination's."""
    if other_ang3 is None:
        return CheckResult(name, None, None, MAX_VOLUME_DEVIATION)
    deviation = volume_per_formula_ang3(structure, entry.formula) / other_ang3 - 1.0
    return CheckResult(
        name,
        abs(deviation) < MAX_VOLUME_DEVIATION,
        deviation,
        MAX_VOLUME_DEVIATION,
        independent=abs(deviation) > SAME_DETERMINATION,
    )


def check_volume_literature(entry: ReferenceEntry, structure: Structure) -> CheckResult:
    """Compare the volume with another publication's, where the entry names one."""
    return _check_volume("volume_literature", entry, structure, entry.cell_volume_per_formula_ang3)


def check_volume_devi2025(
    entry: ReferenceEntry, structure: Structure, devi2025: Mapping[str, Structure] | None
) -> CheckResult:
    """Compare the volume with that of the same phase in devi2025, where it is there."""
    other = devi2025.get(entry.devi2025) if devi2025 is not None and entry.devi2025 is not None else None
    other_ang3 = None if other is None else volume_per_formula_ang3(other, entry.formula)
    return _check_volume("volume_devi2025", entry, structure, other_ang3)


def _primitive(structure: Structure, symprec_ang: float = RELAXATION_NOISE_ANG) -> Structure:
    """Return the primitive cell, forgiving the noise of a relaxation."""
    species = sorted({site.specie.symbol for site in structure})
    numbers = [species.index(site.specie.symbol) for site in structure]
    cell = (structure.lattice.matrix, structure.frac_coords, numbers)
    with reference.quiet_spglib():
        primitive = spglib.find_primitive(cell, symprec=symprec_ang)
    if primitive is None:
        return structure
    lattice, coords, found = primitive
    return Structure(Lattice(lattice), [species[i] for i in found], coords)


def site_shift_ang(structure: Structure, other: Structure) -> float | None:
    """Return the largest distance between matched atoms of two descriptions, None when they do not match."""
    matcher = StructureMatcher(ltol=0.2, stol=0.3, angle_tol=8, primitive_cell=False, scale=True)
    with warnings.catch_warnings():
        # pymatgen warns of its own defaults; the comparison is unaffected.
        warnings.simplefilter("ignore")
        found = matcher.get_rms_dist(structure, other)
    if found is None:
        return None
    return float(found[1] * (structure.volume / len(structure)) ** (1 / 3))


def check_positions_devi2025(
    entry: ReferenceEntry, structure: Structure, devi2025: Mapping[str, Structure] | None
) -> CheckResult:
    """Compare atomic positions with those of the same phase in devi2025, where it is there."""
    other = devi2025.get(entry.devi2025) if devi2025 is not None and entry.devi2025 is not None else None
    limit_ang = MAX_SITE_SHIFT_ANG if entry.max_site_shift_ang is None else entry.max_site_shift_ang
    if other is None or not structure.is_ordered:
        return CheckResult("positions_devi2025", None, None, limit_ang)
    first, second = _primitive(structure), _primitive(other)
    if len(first) != len(second):
        return CheckResult(
            "positions_devi2025", None, f"cells of {len(first)} and {len(second)} sites", limit_ang
        )
    shift = site_shift_ang(first, second)
    independent = check_volume_devi2025(entry, structure, devi2025).independent
    return CheckResult(
        "positions_devi2025", shift is not None and shift < limit_ang, shift, limit_ang, independent
    )


def run_checks(entry: ReferenceEntry, devi2025: Mapping[str, Structure] | None = None) -> list[CheckResult]:
    """Run every check on one entry.

    Parameters
    ----------
    entry : ReferenceEntry
        The entry.
    devi2025 : mapping of str to Structure, optional
        Structures of devi2025 by ``sys_name`` (`devi2025_structures`); without it those checks are unknown.
    """
    structure = reference.structure(entry)
    return [
        check_formula(entry, structure),
        check_space_group(entry, structure),
        check_distances(entry, structure),
        check_bond_valence(entry, structure),
        check_volume_literature(entry, structure),
        check_volume_devi2025(entry, structure, devi2025),
        check_positions_devi2025(entry, structure, devi2025),
    ]


def devi2025_structures(data_dir: Path, names: Iterable[str] | None = None) -> dict[str, Structure]:
    """Read devi2025's structures with both end sites filled, by ``sys_name``.

    Parameters
    ----------
    data_dir : Path
        Folder with ``train_5images.json`` and ``test_5images.json``.
    names : iterable of str, optional
        The entries to read; those that the reference set names when not given.
    """
    wanted = set(names) if names is not None else {e.devi2025 for e in reference.entries() if e.devi2025}
    found: dict[str, Structure] = {}
    for split in ("train", "test"):
        raw = json.loads((data_dir / f"{split}_5images.json").read_text(encoding="utf-8"))
        found |= {item["sys_name"]: _both_ends(item["atoms"]) for item in raw if item["sys_name"] in wanted}
    return found


def _both_ends(atoms: Mapping[str, Any]) -> Structure:
    """Keep the first and fifth image of the moving ion as two ions, and the host."""
    keep = [0, 4, *range(5, len(atoms["elements"]))]
    species = [atoms["elements"][i] for i in keep]
    coords = np.asarray(atoms["coords"], dtype=float)[keep]
    return Structure(
        Lattice(atoms["lattice_mat"]), species, coords, coords_are_cartesian=bool(atoms["cartesian"])
    )
