"""Cleaning: what is refused and why, and that equal crystals become equal candidates."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime

import numpy as np
import pytest
from pymatgen.core import DummySpecies, Lattice, Structure

from storage.records import Reason
from tasks.candidates.cleaning import (
    DENSEST_ANG3,
    MAX_RAW_SITES,
    OVERLAP_ANG,
    CleaningSettings,
    clean,
    find_overlap,
    load_structure,
    ordered_primitive_cell,
    structure_hash,
)
from tasks.candidates.cleaning_duplicates import merge_duplicates
from tasks.candidates.source import RawMaterial, RejectedError

SETTINGS = CleaningSettings()


def raw(structure: Structure, name: str = "x") -> RawMaterial:
    return RawMaterial(material_id=name, structure=structure, source="files")


def rock_salt(a: float = 4.02) -> Structure:
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(a), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]])


BAD = {
    Reason.NO_WORKING_ION: Structure(Lattice.cubic(4), ["Na", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    Reason.PARTIAL_OCCUPANCY: Structure(
        Lattice.cubic(4), [{"Li": 0.5, "Na": 0.5}, "F"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    ),
    Reason.OVERLAPPING_ATOMS: Structure(
        Lattice.cubic(4), ["Li", "F", "F"], [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0.6]]
    ),
    Reason.SINGLE_SITE: Structure(Lattice.cubic(3), ["Li"], [[0, 0, 0]]),
    Reason.NO_ANIONS: Structure(Lattice.cubic(4), ["Li", "Al"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    Reason.TOO_MANY_SITES: rock_salt(),
    Reason.UNREADABLE_FILE: Structure(Lattice.cubic(4), ["Li", DummySpecies("Xx")], [[0, 0, 0], [0.5] * 3]),
}


@pytest.mark.parametrize("reason", BAD)
def test_what_cannot_be_screened_is_refused_with_its_reason(reason: Reason) -> None:
    settings = CleaningSettings(max_sites=1) if reason is Reason.TOO_MANY_SITES else SETTINGS
    with pytest.raises(RejectedError, match="x") as caught:
        clean(raw(BAD[reason]), settings, "key")
    assert caught.value.reason is reason
    assert caught.value.formula == BAD[reason].composition.reduced_formula


def test_too_large_a_cell_is_refused_before_anything_else_looks_at_it(monkeypatch) -> None:
    monkeypatch.setattr(Structure, "is_ordered", property(lambda _self: pytest.fail("looked at")))
    huge = rock_salt() * (9, 9, 8)
    assert len(huge) > MAX_RAW_SITES
    with pytest.raises(
        RejectedError, match=r"x has 5184 sites, allowed are 5000 .*give the primitive"
    ) as caught:
        clean(raw(huge), SETTINGS, "key")
    assert caught.value.reason is Reason.TOO_MANY_SITES


@pytest.mark.parametrize("direction", [0, 1, 2])
def test_an_atom_too_near_its_own_image_is_refused(direction: int) -> None:
    sides = [4.0, 4.0, 4.0]
    sides[direction] = 0.6
    thin = Structure(Lattice.orthorhombic(*sides), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    with pytest.raises(RejectedError, match=r"0\.60 Å from its own image") as caught:
        clean(raw(thin), SETTINGS, "key")
    assert caught.value.reason is Reason.OVERLAPPING_ATOMS


def shortest_ang(structure: Structure) -> float:
    """Return the shortest distance between atoms, own images included, by trying 7 x 7 x 7 cells."""
    steps = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3), axis=-1).reshape(-1, 3)
    frac = structure.frac_coords
    vectors = (frac[:, None, None] - frac[None, :, None] + steps) @ structure.lattice.matrix
    lengths = np.linalg.norm(vectors, axis=-1)
    itself = np.eye(len(frac), dtype=bool)[:, :, None] & (steps == 0).all(axis=1)
    return float(lengths[~itself].min())


def test_overlaps_are_those_of_a_search_by_hand() -> None:
    rng = np.random.default_rng(3)
    answers = []
    for _ in range(60):
        lattice = Lattice(rng.normal(size=(3, 3)) * 0.9 + np.eye(3) * rng.uniform(1.0, 3.0))
        structure = Structure(lattice, ["Li", "F", "O"], rng.uniform(-1, 2, size=(3, 3)))
        answers.append(shortest_ang(structure) < OVERLAP_ANG)
        assert (find_overlap(structure) is not None) == answers[-1]
    assert 10 < sum(answers) < 50


def test_the_densest_packing_just_passes_and_anything_denser_does_not() -> None:
    for scale, expected in ((1.001, False), (0.999, True)):
        packed = Structure.from_spacegroup(
            "Fm-3m", Lattice.cubic(OVERLAP_ANG * 2**0.5 * scale), ["Li"], [[0, 0, 0]]
        )
        assert packed.volume / len(packed) == pytest.approx(DENSEST_ANG3 * scale**3)
        assert (find_overlap(packed) is not None) == expected


def test_looking_for_overlaps_takes_little_memory() -> None:
    n = MAX_RAW_SITES
    heap = Structure(Lattice.cubic(60.0), ["Li"] * n, np.full((n, 3), 0.5))
    crystal = rock_salt() * (8, 8, 9)
    for structure, expected in ((heap, True), (crystal, False)):
        tracemalloc.start()
        assert (find_overlap(structure) is not None) == expected
        peak_mb = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
        # One matrix of 5000 x 5000 numbers has 200 MB.
        assert peak_mb < 150


def test_a_candidate_says_what_it_is() -> None:
    candidate = clean(raw(rock_salt()), SETTINGS, "key")
    assert (candidate.formula, candidate.n_sites, candidate.n_working_ions) == ("LiF", 2, 1)
    assert (candidate.space_group_number, candidate.space_group_symbol) == (225, "Fm-3m")
    assert candidate.volume_ang3 == pytest.approx(4.02**3 / 4, rel=1e-6)
    # 26801.48 mAh/mol over 25.939 g/mol.
    assert candidate.capacity_mah_g == pytest.approx(1033.25, abs=0.1)
    assert candidate.oxidation_method is not None


def test_what_is_stored_is_what_was_digested() -> None:
    candidate = clean(raw(rock_salt()), SETTINGS, "key")
    assert structure_hash(load_structure(candidate)) == candidate.structure_hash


def test_working_ions_come_first_and_charges_go() -> None:
    charged = rock_salt()
    charged.add_oxidation_state_by_element({"Li": 1, "F": -1})
    plain = ordered_primitive_cell(rock_salt(), "F")
    assert [site.species_string for site in plain] == ["F", "Li"]
    assert structure_hash(ordered_primitive_cell(charged, "F")) == structure_hash(plain)


def test_site_order_and_supercell_do_not_make_another_material() -> None:
    structure = rock_salt()
    shuffled = Structure.from_sites(
        [structure[k] for k in np.random.default_rng(0).permutation(len(structure))]
    )
    shifted = structure.copy()
    shifted.translate_sites(list(range(len(shifted))), [0.13, 0.21, 0.34])
    shapes = [structure, shuffled, shifted, structure * (2, 1, 1)]
    candidates = [clean(raw(shape, str(k)), SETTINGS, "key") for k, shape in enumerate(shapes)]
    assert {candidate.n_sites for candidate in candidates} == {2}
    assert set(merge_duplicates(candidates).values()) == {candidates[0].structure_hash}


@pytest.mark.parametrize(
    ("settings", "digest"),
    [
        (CleaningSettings(), "a65a725ac1b577372e3e113b64337373a4aada156030796e58c54e9e69af3d20"),
        (CleaningSettings("Na", 20), "ab54aaf7f14a8b3f1349da05f0ec95f544433190e04eac6f6669becf24c87bae"),
    ],
)
def test_digests_from_before_there_were_states_and_tolerances_stay(settings, digest) -> None:
    assert settings.digest() == digest


def test_every_setting_counts() -> None:
    changed = [
        {"working_ion": "Na"},
        {"max_sites": 20},
        {"symprec_ang": 0.02},
        {"order_disorder": True},
        {"state": "charged"},
    ]
    assert len({CleaningSettings(**one).digest() for one in [{}, *changed]}) == len(changed) + 1


def test_a_wider_tolerance_finds_the_smaller_cell() -> None:
    bent = rock_salt() * (2, 1, 1)
    bent.translate_sites([0], [0.03, 0, 0], frac_coords=False)
    strict = clean(raw(bent), CleaningSettings(), "key")
    loose = clean(raw(bent), CleaningSettings(symprec_ang=0.1), "key")
    assert strict.n_sites == len(bent)
    assert (loose.n_sites, loose.space_group_number) == (2, 225)
    assert strict.space_group_number != 225


def magnetite_like() -> Structure:
    """A spinel of which one site is shared by two states of one element."""
    return Structure.from_spacegroup(
        "Fd-3m",
        Lattice.cubic(8.2),
        ["Li", {"Mn3+": 0.5, "Mn4+": 0.5}, "O2-"],
        [[0, 0, 0], [0.625, 0.625, 0.625], [0.3875, 0.3875, 0.3875]],
    )


def decorations(structure: Structure) -> list[Structure]:
    """The same crystal with states in several ways, and with properties of sites."""
    by_element = structure.copy()
    by_element.add_oxidation_state_by_element({"Li": 1, "O": -2, "Mn": 3.5})
    by_site = structure.copy()
    states = iter([3, 4] * len(structure))
    by_site.add_oxidation_state_by_site(
        [{"Li": 1, "O": -2}.get(site.specie.symbol) or next(states) for site in structure]
    )
    spins = structure.copy()
    spins.add_spin_by_element({"Mn": 5})
    magnetic = structure.copy()
    magnetic.add_site_property("magmom", [float(k) for k in range(len(structure))])
    return [by_element, by_site, spins, magnetic, magnetite_like()]


def test_states_in_a_file_make_no_other_material() -> None:
    decorated = magnetite_like()
    plain = Structure(
        decorated.lattice,
        [{"Li": "Li", "O2-": "O"}.get(site.species_string, "Mn") for site in decorated],
        decorated.frac_coords,
    )
    expected = clean(raw(plain), SETTINGS, "key")
    assert expected.ordering is None
    for other in decorations(plain):
        found = clean(raw(other), SETTINGS, "key")
        assert found == expected
        assert "oxi" not in found.structure_json
        assert "magmom" not in found.structure_json


def test_what_a_source_knows_is_kept_in_the_row() -> None:
    when = datetime(2026, 1, 2, tzinfo=UTC)
    known = {
        "e_above_hull_ev": 0.01,
        "average_voltage_v": 3.5,
        "max_delta_volume_fraction": 0.06,
        "stability_charge_ev": 0.2,
        "stability_discharge_ev": 0.02,
        "band_gap_ev": 1.5,
        "origin": "icsd-1",
        "last_updated_at": when,
        "database_version": "2026.10",
        "licence": "CC-BY-4.0",
    }
    given = RawMaterial(
        material_id="mp-1", structure=rock_salt(), source="mp", other_ids=("mp-aaaa", "mp-1", "b"), **known
    )
    row = clean(given, SETTINGS, "key")
    assert {name: getattr(row, name) for name in known} == known
    assert row.other_ids == ["b", "mp-aaaa"]
    assert clean(raw(rock_salt()), SETTINGS, "key").other_ids is None


def test_partial_occupancy_names_the_way_out() -> None:
    with pytest.raises(RejectedError, match="order-disorder"):
        clean(raw(BAD[Reason.PARTIAL_OCCUPANCY]), SETTINGS, "key")


def test_a_raw_structure_is_left_as_it_was() -> None:
    given = magnetite_like()
    before = given.as_dict()
    clean(raw(given), SETTINGS, "key")
    assert given.as_dict() == before
