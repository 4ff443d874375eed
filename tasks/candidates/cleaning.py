"""Makes a candidate of a raw structure: refuses what cannot be screened, reduces, orders, digests."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import spglib
from pymatgen.core import DummySpecies, Element, Lattice, Structure

from storage.records import Candidate, Reason
from tasks.candidates.cleaning_ordering import order
from tasks.candidates.cleaning_state import CHARGED, DISCHARGED, State, charged, charged_charges
from tasks.candidates.source import RejectedError
from tasks.hops.sites import Charges, assign_charges
from tasks.hops.symmetry import spglib_cell, symmetry_dataset

if TYPE_CHECKING:
    from tasks.candidates.source import RawMaterial

STAGE_VERSION = 3

ANIONS = frozenset({"N", "O", "F", "S", "Cl", "Se", "Br", "Te", "I"})
"""Elements that can coordinate a working ion as its anion, and that the descriptors know as such."""

OVERLAP_ANG = 0.7
"""Two atoms nearer than this are an error in the structure: the shortest bond there is, H-H, has 0.74 Å."""

DENSEST_ANG3 = OVERLAP_ANG**3 / math.sqrt(2.0)
"""Least volume per atom without such an error: that of the densest packing of points so far apart."""

MAX_RAW_SITES = 5000
"""Largest cell that is looked at before it is reduced to its primitive one."""

CENTRES_AT_A_TIME = 256
"""Atoms whose neighbours are searched together: all atoms in one place would else fill the memory."""

SYMPREC_ANG = 0.01
"""How far atoms may lie from where a smaller cell would have them, unless another tolerance is asked for."""

WHOLE_DIGITS = 8
"""Occupancies of one element on one site are summed to so many decimals: 1 to these is a whole atom."""

DIGITS = 6
"""Decimals of the stored lattice (Å) and fractional coordinates; what is digested is what is stored."""

FARADAY_MAH_MOL = 96485.33212 / 3.6
"""Faraday constant (CODATA 2018) in mAh/mol."""


@dataclass(frozen=True)
class CleaningSettings:
    """What is asked of a structure before it is screened.

    Parameters
    ----------
    working_ion : str
        Element symbol of the ion that moves.
    max_sites : int
        Largest primitive cell that is screened.
    symprec_ang : float
        How far atoms may lie from where the primitive cell would have them, in Å.
    order_disorder : bool
        Whether partly occupied sites are put in order, or refused.
    state : {"discharged", "charged"}
        Which host is screened: as it is, or with a single working ion kept.
    """

    working_ion: str = "Li"
    max_sites: int = 300
    symprec_ang: float = SYMPREC_ANG
    order_disorder: bool = False
    state: State = DISCHARGED

    def digest(self) -> str:
        """Return a digest of the settings and of this stage's version."""
        settings = [STAGE_VERSION, self.working_ion, self.max_sites, DIGITS, self.symprec_ang]
        # What was not there from the beginning counts where it is asked for: older keys stay what they are.
        settings += ["order_disorder, vacancies counted"] if self.order_disorder else []
        settings += [self.state] if self.state != DISCHARGED else []
        settings += ["capacity by charge"] if ion_charge(self.working_ion) != 1 else []
        text = json.dumps(settings)
        return hashlib.sha256(text.encode()).hexdigest()


def ion_charge(working_ion: str) -> int:
    """Return the charge that a working ion carries in a cathode, in e: the electrons that leave with it."""
    return int(Element(working_ion).common_oxidation_states[0])


def clean(raw: RawMaterial, settings: CleaningSettings, stage_key: str) -> Candidate:
    """Return the candidate made of a raw structure.

    Parameters
    ----------
    raw : RawMaterial
        A structure as its source gives it.
    settings : CleaningSettings
        What is asked of it.
    stage_key : str
        Digest of the source item and the settings, kept in the row.

    Raises
    ------
    RejectedError
        With the reason, when the structure cannot be screened.
    """
    structure, ordering = whole_atoms(raw, settings)
    formula = structure.composition.reduced_formula
    structure = ordered_primitive_cell(structure, settings.working_ion, settings.symprec_ang)
    if len(structure) > settings.max_sites:
        raise RejectedError(
            Reason.TOO_MANY_SITES,
            f"{raw.material_id}: the primitive cell has {len(structure)} sites, "
            f"allowed are {settings.max_sites}; raise --max-sites",
            formula,
        )
    candidate, charges = _candidate(raw, structure, settings, stage_key)
    candidate = candidate.model_copy(update={"formula": formula, "ordering": ordering})
    if settings.state == CHARGED:
        return charged(candidate, charged_charges(structure, settings.working_ion, charges))
    return candidate


def _candidate(
    raw: RawMaterial, structure: Structure, settings: CleaningSettings, stage_key: str
) -> tuple[Candidate, Charges]:
    """Return the row of a discharged structure, and its oxidation states."""
    number, symbol = space_group(structure, settings.symprec_ang)
    n_ions = sum(site.specie.symbol == settings.working_ion for site in structure)
    digest = structure_hash(structure)
    charges = assign_charges(structure)
    known = [charge for charge in charges.values if charge is not None]
    own_ids = sorted(set(raw.other_ids) - {raw.material_id}) or None
    row = Candidate(
        structure_hash=digest,
        material_id=raw.material_id,
        material_key=digest,
        source=raw.source,
        source_ref=raw.source_ref,
        formula=structure.composition.reduced_formula,
        name=raw.name,
        working_ion=settings.working_ion,
        n_sites=len(structure),
        n_working_ions=n_ions,
        volume_ang3=float(structure.volume),
        space_group_number=number,
        space_group_symbol=symbol,
        structure_json=json.dumps(structure.as_dict(verbosity=0), separators=(",", ":"), sort_keys=True),
        oxidation_method=charges.method,
        oxidation_states=known if len(known) == len(structure) else None,
        e_above_hull_ev=raw.e_above_hull_ev,
        average_voltage_v=raw.average_voltage_v,
        capacity_mah_g=n_ions
        * ion_charge(settings.working_ion)
        * FARADAY_MAH_MOL
        / float(structure.composition.weight),
        other_ids=own_ids,
        own_ids=own_ids,
        max_delta_volume_fraction=raw.max_delta_volume_fraction,
        stability_charge_ev=raw.stability_charge_ev,
        stability_discharge_ev=raw.stability_discharge_ev,
        band_gap_ev=raw.band_gap_ev,
        origin=raw.origin,
        last_updated_at=raw.last_updated_at,
        database_version=raw.database_version,
        licence=raw.licence,
        stage_key=stage_key,
    )
    return row, charges


def whole_atoms(raw: RawMaterial, settings: CleaningSettings) -> tuple[Structure, str | None]:
    """Return a structure of whole atoms without oxidation states, and how it was ordered where it had to be.

    Raises
    ------
    RejectedError
        ``too_many_sites``, ``unreadable_file`` (a symbol that is no element), ``no_working_ion``,
        ``partial_occupancy``, ``single_site``, ``no_anions`` or ``overlapping_atoms``.
    """
    name, ion = raw.material_id, settings.working_ion
    refuse_composition(raw.structure, name, ion)
    structure, ordering = undecorated(raw.structure), None
    formula = structure.composition.reduced_formula
    if not structure.is_ordered:
        if not settings.order_disorder:
            label = next(site.species_string for site in structure if not site.is_ordered)
            raise RejectedError(
                Reason.PARTIAL_OCCUPANCY,
                f"{name} has partly occupied sites (the first: {label}); give an ordered structure, or let "
                "--order-disorder choose one",
                formula,
            )
        structure, ordering = order(structure, name, settings.symprec_ang)
        # Of an element that few sites hold a little of, not one atom may be left.
        refuse_composition(structure, name, ion)
    refuse_geometry(structure, name)
    return structure, ordering


def undecorated(structure: Structure) -> Structure:
    """Return a structure of elements alone: no oxidation states, spins or site properties.

    States that a file gives have no known origin, and would make two materials of one crystal. A site that
    two states of one element share, as Fe2+ and Fe3+ do in magnetite, holds a whole atom.
    """
    species = []
    for site in structure:
        amounts: dict[Element, float] = {}
        for kind, amount in site.species.items():
            element = Element.from_Z(kind.Z)
            amounts[element] = amounts.get(element, 0.0) + float(amount)
        species.append({element: round(amount, WHOLE_DIGITS) for element, amount in amounts.items()})
    return Structure(structure.lattice, species, structure.frac_coords)


def refuse_composition(structure: Structure, name: str, working_ion: str) -> None:
    """Raise for a structure that cannot be screened whatever the places of its atoms.

    Raises
    ------
    RejectedError
        ``too_many_sites``, ``unreadable_file`` (a symbol that is no element) or ``no_working_ion``.
    """
    formula = structure.composition.reduced_formula
    if len(structure) > MAX_RAW_SITES:
        raise RejectedError(
            Reason.TOO_MANY_SITES,
            f"{name} has {len(structure)} sites, allowed are {MAX_RAW_SITES} before the cell is reduced; "
            "give the primitive or the conventional cell",
            formula,
        )
    dummies = [str(kind) for kind in structure.composition.elements if isinstance(kind, DummySpecies)]
    if dummies:
        raise RejectedError(
            Reason.UNREADABLE_FILE,
            f"{name} names {', '.join(sorted(dummies))}, which are no chemical elements; correct the symbols",
            formula,
        )
    elements = {element.symbol for element in structure.composition.elements}
    if working_ion not in elements:
        raise RejectedError(
            Reason.NO_WORKING_ION,
            f"{name} holds {', '.join(sorted(elements))} and no {working_ion}; choose another --working-ion, "
            "or give the discharged structure",
            formula,
        )


def refuse_geometry(structure: Structure, name: str) -> None:
    """Raise for an ordered structure that cannot be screened, whatever its primitive cell.

    Raises
    ------
    RejectedError
        ``single_site``, ``no_anions`` or ``overlapping_atoms``.
    """
    formula = structure.composition.reduced_formula
    elements = {element.symbol for element in structure.composition.elements}
    if len(structure) == 1:
        raise RejectedError(
            Reason.SINGLE_SITE, f"{name} has one site; a cathode has the working ion and its host", formula
        )
    if not elements & ANIONS:
        raise RejectedError(
            Reason.NO_ANIONS,
            f"{name} holds {', '.join(sorted(elements))} and no anion; "
            f"allowed are {', '.join(sorted(ANIONS))}",
            formula,
        )
    overlap = find_overlap(structure)
    if overlap is not None:
        raise RejectedError(
            Reason.OVERLAPPING_ATOMS,
            f"{name}: {overlap}, allowed are {OVERLAP_ANG} Å between atoms; repair the structure",
            formula,
        )


def find_overlap(structure: Structure) -> str | None:
    """Return in words which atoms are too near each other, periodic images included; None where none are.

    Memory grows with the number of atoms and not with its square.
    """
    per_atom_ang3 = float(structure.volume) / len(structure)
    if per_atom_ang3 < DENSEST_ANG3:
        return f"{len(structure)} atoms share {structure.volume:.3g} Å³, so some overlap"
    # Lattice vectors bound how many images lie within reach, of which a thin cell would have millions.
    period_ang = min(structure.lattice.get_lll_reduced_lattice().abc)
    if period_ang < OVERLAP_ANG:
        return f"each atom is {period_ang:.2f} Å from its own image in the next cell"
    for start in range(0, len(structure), CENTRES_AT_A_TIME):
        some = list(structure)[start : start + CENTRES_AT_A_TIME]
        centres, others, images, distances_ang = structure.get_neighbor_list(
            OVERLAP_ANG, sites=some, exclude_self=False
        )
        # Each atom finds itself too, which is no overlap; its own image in another cell is.
        near = np.flatnonzero((centres + start != others) | images.any(axis=1))
        if len(near):
            k = near[int(distances_ang[near].argmin())]
            first, second = sorted((int(centres[k]) + start, int(others[k])))
            return (
                f"{structure[first].species_string} (site {first}) and {structure[second].species_string} "
                f"(site {second}) are {distances_ang[k]:.2f} Å apart"
            )
    return None


def ordered_primitive_cell(
    structure: Structure, working_ion: str, symprec_ang: float = SYMPREC_ANG
) -> Structure:
    """Return the primitive cell without charges or site properties, working ions first, then by element.

    The cell is spglib's primitive one for the tolerance, not idealised; where spglib finds no symmetry the
    cell stays as it is. Lattice and coordinates are rounded to six decimals.
    """
    cell = spglib_cell(structure)
    with warnings.catch_warnings():
        # spglib says on every call how its errors will be reported one day.
        warnings.simplefilter("ignore", DeprecationWarning)
        reduced = spglib.standardize_cell(cell, to_primitive=True, no_idealize=True, symprec=symprec_ang)
    lattice, positions, numbers = cell if reduced is None else reduced
    lattice = Lattice(np.round(lattice, DIGITS) + 0.0)
    wrapped = np.round(np.asarray(positions) % 1.0, DIGITS) % 1.0 + 0.0
    rows = sorted(
        zip((_symbol(int(z)) for z in numbers), map(tuple, wrapped), strict=True),
        key=lambda row: (row[0] != working_ion, row[0], row[1]),
    )
    return Structure(lattice, [symbol for symbol, _ in rows], [position for _, position in rows])


def _symbol(number: int) -> str:
    return str(Element.from_Z(number).symbol)


def space_group(structure: Structure, symprec_ang: float = SYMPREC_ANG) -> tuple[int | None, str | None]:
    """Return the number and the Hermann-Mauguin symbol that spglib finds; None twice where it finds none."""
    dataset = symmetry_dataset(structure, symprec_ang)
    return (None, None) if dataset is None else (int(dataset.number), str(dataset.international))


def structure_hash(structure: Structure) -> str:
    """Return a digest of a structure as stored, in its stored site order. It claims no equivalence."""
    content = [
        [[f"{value + 0.0:.{DIGITS}f}" for value in vector] for vector in structure.lattice.matrix],
        [
            [site.specie.symbol, *(f"{value + 0.0:.{DIGITS}f}" for value in site.frac_coords)]
            for site in structure
        ],
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def load_charges(candidate: Candidate) -> Charges:
    """Return the stored oxidation states of a candidate, site by site."""
    if candidate.oxidation_states is None:
        return Charges(values=(None,) * candidate.n_sites, method=None)
    return Charges(
        values=tuple(candidate.oxidation_states),
        method="bond_valence" if candidate.oxidation_method == "bond_valence" else "composition",
    )


def load_structure(candidate: Candidate) -> Structure:
    """Return the stored structure of a candidate."""
    return Structure.from_dict(json.loads(candidate.structure_json))
