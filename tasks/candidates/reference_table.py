"""The table of the reference set: one row a structure with what it declares and what the checks find."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymatgen.core import Composition, Element

from tasks.candidates import reference, reference_checks
from tasks.candidates.cleaning import FARADAY_MAH_MOL, ion_charge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pymatgen.core import Structure

    from tasks.candidates.reference import ReferenceEntry
    from tasks.candidates.reference_checks import CheckResult


def reference_table(devi2025: Mapping[str, Structure] | None = None) -> list[dict[str, Any]]:
    """Return the reference set with its checks, one row a structure.

    Parameters
    ----------
    devi2025 : mapping of str to Structure, optional
        From `reference_checks.devi2025_structures`; without it what compares with devi2025 is null.

    Returns
    -------
    list of dict
        What `lihop data reference` prints. ``gii_vu`` is the global instability index;
        ``volume_deviation`` (from devi2025) and ``volume_deviation_literature`` are fractions;
        ``closest_pair`` is the pair nearest to the least distance that chemistry allows it;
        ``n_independent_checks`` counts the passed checks that compare with something other than the
        entry's own source, bond valence among them; ``second_determination`` says whether another
        determination of the same phase agrees.
    """
    return [_row(entry, reference_checks.run_checks(entry, devi2025)) for entry in reference.entries()]


def capacity_mah_g(formula: str, working_ion: str = "Li") -> float | None:
    """Return the theoretical gravimetric capacity with every working ion removed, None without one."""
    composition = Composition(formula)
    n_ions = composition[Element(working_ion)]
    return (
        float(n_ions * ion_charge(working_ion) * FARADAY_MAH_MOL / composition.weight) if n_ions > 0 else None
    )


def _row(entry: ReferenceEntry, results: Sequence[CheckResult]) -> dict[str, Any]:
    """Return the row of one entry."""
    by_name = {result.name: result for result in results}
    structure = reference.structure(entry)
    shift = by_name["positions_devi2025"].value
    second = ("volume_literature", "volume_devi2025", "positions_devi2025")
    return {
        "material_id": entry.material_id,
        "name": entry.display_name,
        "formula": entry.formula,
        "family": entry.family,
        "role": entry.role,
        "expected": entry.expected,
        "space_group_declared": entry.space_group_number,
        "space_group_found": by_name["space_group"].value,
        "gii_vu": by_name["bond_valence"].value,
        "min_distance_ang": reference_checks.shortest_distance_ang(structure),
        "closest_pair": by_name["distances"].value,
        "volume_per_formula_ang3": reference_checks.volume_per_formula_ang3(structure, entry.formula),
        "volume_deviation_literature": by_name["volume_literature"].value,
        "volume_deviation": by_name["volume_devi2025"].value,
        "site_shift_devi2025_ang": shift if isinstance(shift, float) else None,
        "average_voltage_v": entry.voltage_v,
        "capacity_mah_g": capacity_mah_g(entry.formula),
        "provenance": entry.provenance,
        "source": entry.source,
        "source_ref": entry.source_ref,
        "read_from_source": entry.read_from_source,
        "passed": [r.name for r in results if r.passed is True],
        "failed": [r.name for r in results if r.passed is False],
        "n_independent_checks": sum(r.independent and r.passed is True for r in results),
        "second_determination": any(by_name[n].independent and by_name[n].passed is True for n in second),
    }


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Count what the table says about the structures that are to be screened, and those to be refused.

    Parameters
    ----------
    rows : sequence of mapping
        From `reference_table`.

    Returns
    -------
    dict of str to int
        ``cathodes_to_screen`` counts those of ``to_screen`` whose role is a cathode's;
        ``own_source_only`` counts the structures that no check confirms but those against their own source;
        ``no_second_determination`` those that bond valence alone confirms, or nothing.
    """
    screened = [row for row in rows if row["expected"] == reference.SCREEN]
    return {
        "to_screen": len(screened),
        "cathodes_to_screen": sum(row["role"] == reference.CATHODE for row in screened),
        "to_refuse": len(rows) - len(screened),
        "all_checks_passed": sum(not row["failed"] for row in screened),
        "own_source_only": sum(row["n_independent_checks"] == 0 for row in screened),
        "no_second_determination": sum(not row["second_determination"] for row in screened),
    }
