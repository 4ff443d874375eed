"""The fields of the documents that the protocol server gives, each made only where it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.servers.material import GNOME_BATCH, Material, reduced
from tests.servers.prototypes import SYMPREC_ANG

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    Field = Callable[[Material], Any]


def builder_meta(m: Material) -> dict[str, Any]:
    return {
        "emmet_version": "0.87.3",
        "pymatgen_version": "2026.10.24",
        "run_id": "0f9ab9a0-0000-4000-8000-000000000000",
        "batch_id": GNOME_BATCH if m.facts.gnome else None,
        "database_version": m.db_version,
        "build_date": "2026-01-15 00:00:00+00:00",
        "license": "BY-NC" if m.facts.gnome else "BY-C",
    }


def symmetry(m: Material) -> dict[str, Any]:
    return {
        "crystal_system": m.symmetry.system,
        "symbol": m.symmetry.symbol,
        "number": m.symmetry.number,
        "point_group": m.symmetry.point_group,
        "symprec": SYMPREC_ANG,
        "version": "2.5.0",
    }


def origins(m: Material) -> list[dict[str, Any]]:
    return [
        {"name": name, "task_id": m.spelled(m.facts.number + 500_000), "last_updated": m.last_updated}
        for name in ("structure", "energy", "electronic_structure")
    ]


SUMMARY: dict[str, Field] = {
    "builder_meta": builder_meta,
    "nsites": lambda m: len(m.species),
    "elements": lambda m: m.elements,
    "nelements": lambda m: len(m.elements),
    "composition": lambda m: {symbol: float(n) for symbol, n in m.counts.items()},
    "composition_reduced": lambda m: reduced(m.counts),
    "formula_pretty": lambda m: m.formula,
    "formula_anonymous": lambda m: m.formula_anonymous,
    "chemsys": lambda m: m.chemsys,
    "volume": lambda m: m.volume_ang3,
    "density": lambda m: m.density_g_cm3,
    "density_atomic": lambda m: m.volume_ang3 / len(m.species),
    "symmetry": symmetry,
    "property_name": lambda _m: "summary",
    "material_id": lambda m: m.material_id,
    "deprecated": lambda m: m.facts.deprecated,
    "deprecation_reasons": lambda m: ["Manual"] if m.facts.deprecated else None,
    "last_updated": lambda m: m.last_updated,
    "origins": origins,
    "warnings": lambda _m: [],
    "structure": lambda m: m.structure(),
    "task_ids": lambda m: [m.spelled(m.facts.number + 500_000)],
    "uncorrected_energy_per_atom": lambda m: m.energy_ev + 0.4,
    "energy_per_atom": lambda m: m.energy_ev,
    "formation_energy_per_atom": lambda m: m.energy_ev + 2.5,
    "energy_above_hull": lambda m: m.e_hull_ev,
    "is_stable": lambda m: m.e_hull_ev == 0.0,
    "equilibrium_reaction_energy_per_atom": lambda _m: None,
    "decomposes_to": lambda _m: None,
    "xas": lambda _m: None,
    "grain_boundaries": lambda _m: None,
    "band_gap": lambda m: m.facts.gap_ev,
    "cbm": lambda m: m.facts.gap_ev + 2.0 if m.facts.gap_ev else None,
    "vbm": lambda m: 2.0 if m.facts.gap_ev else None,
    "efermi": lambda _m: 2.0,
    "is_gap_direct": lambda m: m.facts.number % 2 == 0,
    "is_metal": lambda m: m.facts.gap_ev == 0.0,
    "ordering": lambda _m: "NM",
    "total_magnetization": lambda _m: 0.0,
    "num_magnetic_sites": lambda _m: 0,
    "num_unique_magnetic_sites": lambda _m: 0,
    "types_of_magnetic_species": lambda _m: [],
    "possible_species": lambda m: [f"{m.facts.ion}+", "O2-"],
    "theoretical": lambda m: m.facts.theoretical,
    "database_IDs": lambda m: {} if m.facts.theoretical else {"icsd": [f"icsd-{m.facts.number}"]},
    "has_props": lambda m: {
        "materials": True,
        "thermo": True,
        "electronic_structure": True,
        "provenance": True,
        "insertion_electrodes": m.facts.electrode,
    },
}


def formula_with(m: Material, ion: float | str) -> str:
    """Return the reduced formula of the host after so much of the ion: a range for a battery."""
    return f"{m.facts.ion}{ion}{m.host_formula}"


def units(m: Material) -> float:
    """Return the formula units of the host in a cell."""
    return m.host.get_reduced_composition_and_factor()[1]


def step(m: Material) -> dict[str, Any]:
    """Return what the battery as a whole and its one voltage step share."""
    capacity, per_volume = m.capacity_mah_g, m.capacity_mah_cm3
    return {
        "formula_charge": m.host_formula,
        "formula_discharge": m.formula,
        "max_delta_volume": m.facts.volume_change,
        "average_voltage": m.facts.voltage_v,
        "capacity_grav": capacity,
        "capacity_vol": per_volume,
        "energy_grav": capacity * m.facts.voltage_v,
        "energy_vol": per_volume * m.facts.voltage_v,
        "fracA_charge": 0.0,
        "fracA_discharge": m.ions / len(m.species),
        "stability_charge": m.facts.stability_charge_ev,
        "stability_discharge": m.e_hull_ev,
        "id_charge": m.charged_id,
        "id_discharge": m.material_id,
    }


def compositions(m: Material) -> dict[str, Any]:
    both = (m.host, m.composition)
    return {
        "all_formulas": [one.reduced_formula for one in both],
        "all_chemsys": [one.chemical_system for one in both],
        "all_formula_anonymous": [one.anonymized_formula for one in both],
        "all_elements": m.elements,
        "all_composition_reduced": {symbol: [n] for symbol, n in reduced(m.counts).items()},
    }


def material_ids(m: Material) -> list[str]:
    lower = [m.spelled(m.facts.number - drift) for drift in range(m.facts.drifts, 0, -1)]
    return [*lower, m.material_id, m.charged_id]


def of_step(name: str) -> Field:
    return lambda m: step(m)[name]


ELECTRODES: dict[str, Field] = {
    "builder_meta": builder_meta,
    "battery_type": lambda _m: "insertion",
    "battery_id": lambda m: f"{m.spelled(m.battery_number)}_{m.facts.ion}",
    "material_ids": material_ids,
    "thermo_type": lambda _m: None,
    "battery_formula": lambda m: formula_with(m, f"0-{m.ions / units(m):g}"),
    "working_ion": lambda m: m.facts.ion,
    "num_steps": lambda _m: 1,
    "max_voltage_step": lambda _m: 0.0,
    "last_updated": lambda m: m.last_updated,
    "framework": lambda m: reduced(m.host_counts),
    "framework_formula": lambda m: m.host_formula,
    "elements": lambda m: list(m.host_counts),
    "nelements": lambda m: len(m.host_counts),
    "chemsys": lambda m: "-".join(m.host_counts),
    "formula_anonymous": lambda m: m.host_formula_anonymous,
    "warnings": lambda _m: [],
    **{
        name: of_step(name)
        for name in (
            "formula_charge", "formula_discharge", "max_delta_volume", "average_voltage", "capacity_grav",
            "capacity_vol", "energy_grav", "energy_vol", "fracA_charge", "fracA_discharge",
            "stability_charge", "stability_discharge", "id_charge", "id_discharge",
        )
    },
    "host_structure": lambda m: m.structure(without_ion=True),
    "adj_pairs": lambda m: [step(m)],
    "entries_composition_summary": compositions,
    "electrode_object": lambda _m: None,
}  # fmt: skip

DEFAULT_FIELDS = {"summary": ("material_id", "last_updated"), "electrodes": ("battery_id", "last_updated")}
TABLES = {"summary": SUMMARY, "electrodes": ELECTRODES}


def document(kind: str, m: Material, fields: Collection[str] | None) -> dict[str, Any]:
    """Return the document with those fields, dots reaching into them; None is all."""
    table = TABLES[kind]
    if fields is None:
        return {name: read(m) for name, read in table.items()}
    found: dict[str, Any] = {}
    for field in fields:
        top, *rest = field.split(".")
        if top in table:
            value = table[top](m)
            if rest and isinstance(value, dict):
                inner = found.get(top) if isinstance(found.get(top), dict) else {}
                value = _merged(inner, rest, value)
            found[top] = value
    return found


def _merged(into: Any, path: list[str], value: dict[str, Any]) -> dict[str, Any]:
    """Return a projection with one more path of a nested document in it."""
    name, *rest = path
    into = dict(into or {})
    if name in value:
        inner = value[name]
        into[name] = _merged(into.get(name), rest, inner) if rest and isinstance(inner, dict) else inner
    return into
