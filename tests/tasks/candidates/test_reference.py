"""The reference set as data: what it covers, how it expands, and that contradictions are refused."""

from __future__ import annotations

import dataclasses
import json
import pickle

import numpy as np
import pytest
from pymatgen.core import Composition

from tasks.candidates import reference
from tasks.candidates.cleaning import CleaningSettings, clean
from tasks.candidates.reference import SCREEN, ReferenceDataError, ReferenceEntry, ReferenceSource
from tasks.candidates.reference_table import capacity_mah_g, reference_table, summary
from tasks.candidates.source import RejectedError
from tasks.reports.ranking_figure import short_name

ENTRIES = reference.entries()
SCREENED = [entry for entry in ENTRIES if entry.expected == SCREEN]
REFUSED = [entry for entry in ENTRIES if entry.expected != SCREEN]


def ids(entries: list[ReferenceEntry]) -> list[str]:
    return [entry.material_id for entry in entries]


def shortest_ang(entry: ReferenceEntry, element: str) -> float:
    structure = reference.structure(entry)
    structure.remove_species([el for el in structure.composition.elements if el.symbol != element])
    return float(structure.get_neighbor_list(6.0)[3].min())


def test_the_set_is_large_enough_and_its_identifiers_are_unique():
    assert len(SCREENED) >= 50
    assert len(set(ids(list(ENTRIES)))) == len(ENTRIES)
    assert all(entry.material_id.startswith("ref-") for entry in ENTRIES)


def test_enough_of_what_is_screened_are_cathodes():
    cathodes = [entry for entry in SCREENED if entry.role == "cathode"]
    assert len(cathodes) >= 45


def test_a_cathode_has_a_transition_metal_that_can_be_oxidised():
    empty_d_shell = {"Ti": 4, "Zr": 4}
    transition = {"Ti", "Zr", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Ru", "Rh", "Ir"}
    for entry in SCREENED:
        can_be_oxidised = any(
            symbol in transition and valence != empty_d_shell.get(symbol)
            for symbol, valence in entry.valences.items()
        )
        assert (entry.role == "cathode") == can_be_oxidised, entry.material_id


@pytest.mark.parametrize("entry", SCREENED, ids=lambda e: e.material_id)
def test_what_is_no_cathode_says_so_wherever_its_name_stands(entry):
    item = ReferenceSource().items()[ENTRIES.index(entry)]
    name = ReferenceSource().read(item)[0].name
    formula = Composition(entry.formula).reduced_formula
    says_so = entry.role == "not_a_cathode"
    assert name.endswith("(not a cathode)") == says_so
    assert short_name(formula, name).endswith("(not a cathode)") == says_so


def test_every_family_is_covered():
    families = {entry.family for entry in SCREENED}
    assert families == {
        "layered", "li_rich", "spinel", "olivine", "fluorophosphate", "nasicon", "silicate", "borate",
        "pyrophosphate", "sulfate", "fluorosulfate", "vanadyl_phosphate", "titanate", "orthophosphate",
        "rutile",
    }  # fmt: skip


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda e: e.material_id)
def test_every_entry_can_be_looked_up(entry):
    assert entry.source_doi is not None or entry.database_id is not None or len(entry.source_ref) > 20
    if entry.source_doi is not None:
        assert entry.source_doi.startswith("10.")
        assert " " not in entry.source_doi


@pytest.mark.parametrize("entry", SCREENED, ids=lambda e: e.material_id)
def test_what_is_to_be_screened_is_ordered_and_holds_lithium(entry):
    structure = reference.structure(entry)
    assert structure.is_ordered
    assert Composition(entry.formula)["Li"] > 0
    assert len(structure) <= 300


@pytest.mark.parametrize("entry", REFUSED, ids=lambda e: e.material_id)
def test_cleaning_refuses_what_is_declared_refused_for_the_declared_reason(entry):
    raw = ReferenceSource().read(ReferenceSource().items()[ENTRIES.index(entry)])[0]
    with pytest.raises(RejectedError) as refusal:
        clean(raw, CleaningSettings(), "key")
    assert refusal.value.reason == entry.expected


def test_there_are_refusals_of_more_than_one_kind():
    assert {entry.expected for entry in REFUSED} == {"partial_occupancy", "no_working_ion"}


def test_formula_valences_balance():
    for entry in ENTRIES:
        composition = Composition(entry.formula)
        charge = sum(composition[symbol] * valence for symbol, valence in entry.valences.items())
        assert charge == pytest.approx(0.0, abs=1e-9), entry.material_id
        assert {el.symbol for el in composition} == set(entry.valences), entry.material_id


def test_lifepo4_hops_three_angstrom_along_b():
    entry = reference.get("ref-lifepo4")
    structure = reference.structure(entry)
    assert shortest_ang(entry, "Li") == pytest.approx(structure.lattice.b / 2, abs=1e-9)
    assert shortest_ang(entry, "Li") == pytest.approx(3.0, abs=0.02)


def test_licoo2_is_layered_and_limn2o4_a_diamond_network():
    licoo2 = reference.get("ref-licoo2")
    assert shortest_ang(licoo2, "Li") == pytest.approx(licoo2.lattice[0], abs=1e-9)
    limn2o4 = reference.get("ref-limn2o4")
    assert shortest_ang(limn2o4, "Li") == pytest.approx(limn2o4.lattice[0] * np.sqrt(3) / 4, abs=1e-9)
    assert shortest_ang(limn2o4, "Li") == pytest.approx(3.57, abs=0.01)


def test_every_site_expands_to_its_wyckoff_multiplicity():
    for entry in ENTRIES:
        n_sites = sum(int("".join(c for c in s.wyckoff if c.isdigit())) for s in entry.sites)
        assert len(reference.structure(entry)) == n_sites


def test_the_other_origin_of_a_spinel_is_refused():
    entry = dataclasses.replace(reference.get("ref-limn2o4"), hall_number=525)
    with pytest.raises(ReferenceDataError, match="Wyckoff position 8a has 8"):
        reference.structure(entry)


def test_a_coordinate_off_its_special_position_is_refused():
    entry = reference.get("ref-lifepo4")
    iron = dataclasses.replace(entry.sites[1], frac_coords=(0.282, 0.22, 0.975))
    moved = dataclasses.replace(entry, sites=(entry.sites[0], iron, *entry.sites[2:]))
    with pytest.raises(ReferenceDataError, match="has 8 images"):
        reference.structure(moved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hall_number": 1}, "not a setting of space group"),
        ({"provenance": "hearsay"}, "allowed: experiment"),
        ({"expected": "bad_luck"}, "reason of refusal"),
        ({"role": "anode"}, "allowed: 'cathode'"),
    ],
)
def test_contradictions_in_the_data_are_refused(change, message):
    raw = {
        "id": "ref-x", "name": "x", "formula": "LiF", "role": "not_a_cathode",
        "space_group_number": 225, "hall_number": 523,
        "lattice": [4.0, 4.0, 4.0, 90.0, 90.0, 90.0],
        "sites": [["Li", "4a", 0, 0, 0], ["F", "4b", "1/2", 0.5, 0.5]],
        "valences": {"Li": 1, "F": -1}, "provenance": "experiment", "source_ref": "nowhere",
    }  # fmt: skip
    assert reference._entry(raw, "test").sites[1].frac_coords == (0.5, 0.5, 0.5)
    with pytest.raises(ReferenceDataError, match=message):
        reference._entry(raw | change, "test")


def test_an_unknown_identifier_says_where_to_look():
    with pytest.raises(ReferenceDataError, match="lihop data reference"):
        reference.get("ref-unobtainium")


def test_the_source_gives_every_entry_and_can_travel():
    source = ReferenceSource()
    items = source.items()
    assert [item.item_id for item in items] == ids(list(ENTRIES))
    assert len({item.digest for item in items}) == len(items)
    sent = pickle.loads(pickle.dumps(source))
    material = sent.read(items[0])[0]
    assert material.source == "reference"
    assert material.name == ENTRIES[0].display_name
    assert material.source_ref == ENTRIES[0].source


def test_digests_follow_the_content():
    raw = {
        "id": "a",
        "lattice": [1, 1, 1, 90, 90, 90],
        "sites": [],
        "space_group_number": 1,
        "hall_number": 1,
    }
    raw |= {"name": "a", "formula": "Li", "valences": {}, "provenance": "experiment", "source_ref": "a"}
    raw |= {"role": "cathode"}
    same = reference._entry(dict(reversed(raw.items())), "f")
    assert reference._entry(raw, "f").digest == same.digest
    assert reference._entry(raw | {"formula": "Na"}, "f").digest != same.digest


def test_capacity_of_lifepo4_and_of_a_host_without_lithium():
    assert capacity_mah_g("LiFePO4") == pytest.approx(169.9, abs=0.1)
    assert capacity_mah_g("LiCoO2") == pytest.approx(273.8, abs=0.1)
    assert capacity_mah_g("TiO2") is None


def test_capacity_counts_every_electron_that_leaves_with_the_ion():
    # Two of MgO's 40.304 g/mol and three of half of Al2O3's 101.961 g/mol, at 26801.5 mAh/mol.
    assert capacity_mah_g("MgO", "Mg") == pytest.approx(2 * 26801.5 / 40.304, rel=1e-4)
    assert capacity_mah_g("Al2O3", "Al") == pytest.approx(3 * 2 * 26801.5 / 101.961, rel=1e-4)


def test_the_table_is_plain_data_and_its_summary_counts():
    rows = reference_table()
    assert json.loads(json.dumps(rows)) == rows
    assert [row["material_id"] for row in rows] == ids(list(ENTRIES))
    assert next(row for row in rows if row["material_id"] == "ref-limn2o4")[
        "min_distance_ang"
    ] == pytest.approx(1.958, abs=1e-3)
    assert all((row["role"] == "cathode") != row["name"].endswith("(not a cathode)") for row in rows)
    counts = summary(rows)
    assert counts["to_screen"] == len(SCREENED)
    assert counts["cathodes_to_screen"] == sum(entry.role == "cathode" for entry in SCREENED)
    assert counts["to_refuse"] == len(REFUSED)
    assert counts["all_checks_passed"] == len(SCREENED)
    assert counts["own_source_only"] == 0
    assert all(row["volume_deviation"] is None for row in rows)


def test_the_summary_counts_what_only_its_own_source_confirms():
    row = {"expected": SCREEN, "failed": [], "n_independent_checks": 1, "second_determination": True}
    row |= {"role": "cathode"}
    lonely = row | {"n_independent_checks": 0, "second_determination": False, "failed": ["distances"]}
    lonely |= {"role": "not_a_cathode"}
    assert summary([row, lonely, row | {"expected": "no_working_ion"}]) == {
        "to_screen": 2,
        "cathodes_to_screen": 1,
        "to_refuse": 1,
        "all_checks_passed": 1,
        "own_source_only": 1,
        "no_second_determination": 1,
    }
