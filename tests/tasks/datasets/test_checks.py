"""What the checks of a data set find, each on hops made to be wrong in one way, and nothing on good ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from tasks.datasets.checks import examine
from tasks.datasets.fingerprints import (
    SAME_HOP_ANG,
    difference_ang,
    fingerprint,
    groups_of_same,
    same_hops,
)
from tasks.datasets.label_checks import EV_PER
from tasks.datasets.overlap import overlap
from tasks.datasets.own_hops import UNITS
from tasks.datasets.records import Crystal, HopRecord
from tests.tasks.hops.crystals import octahedral_layers, single_layers

LITIS2 = single_layers()
LICOO2 = octahedral_layers("Li", "Co", "O", 2.816, 14.05, 0.2605)
NACOO2 = octahedral_layers("Na", "Co", "O", 2.889, 15.6, 0.27)


def hop(hop_id, structure=LITIS2, i=0, j=0, image=(1, 0, 0), barrier_ev=0.5, split="train"):
    return HopRecord(hop_id, hop_id, split, Crystal.of(structure), i, j, image, barrier_ev, "made up")


GOOD = [
    hop("a", barrier_ev=0.61),
    hop("b", image=(1, -1, 0), barrier_ev=2.9),
    hop("c", LICOO2, barrier_ev=0.47),
    hop("d", NACOO2, barrier_ev=0.33),
]


def found(records, *, published=False):
    return {(f.severity, f.check): f for f in examine(records, published=published)}


def test_good_hops_are_left_in_peace():
    assert examine(GOOD, published=False) == []


class TestFingerprint:
    def same_crystal_elsewhere(self, structure, i, j, image, *, seed=0):
        """Supercell, shuffled, shifted, rotated, and the hop the other way round."""
        rng = np.random.default_rng(seed)
        cell, frac = structure.lattice.matrix, structure.frac_coords
        big = np.array([[2, 0, 0], [1, 2, 0], [0, 0, 1]])
        made = structure.copy()
        made.make_supercell(big)
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        shift = rng.uniform(size=3)
        order = rng.permutation(len(made))
        moved = Structure(
            made.lattice.matrix @ turn.T,
            [made[k].specie for k in order],
            (made.frac_coords + shift)[order],
            to_unit_cell=True,
        )
        ends = (
            np.array([frac[j] + np.asarray(image), frac[i]]) @ cell @ np.linalg.inv(made.lattice.matrix)
            + shift
        )
        sites, cells = [], []
        for end in ends:
            apart = moved.frac_coords - end
            off = np.linalg.norm((apart - np.round(apart)) @ moved.lattice.matrix, axis=1)
            sites.append(int(np.argmin(off)))
            cells.append(np.round(end - moved.frac_coords[sites[-1]]).astype(int))
        x, y, z = (int(k) for k in cells[1] - cells[0])
        return hop("x", moved, sites[0], sites[1], (x, y, z))

    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize("one", GOOD, ids=lambda record: record.hop_id)
    def test_no_choice_of_cell_order_place_or_direction_matters(self, one, seed):
        other = self.same_crystal_elsewhere(one.structure, one.i, one.j, one.image, seed=seed)
        assert difference_ang(fingerprint(one), fingerprint(other)) < 1e-8

    def test_every_pair_of_different_hops_is_told_apart(self):
        prints = [fingerprint(record) for record in GOOD]
        assert list(same_hops(prints)) == []
        assert difference_ang(prints[0], prints[1]) > SAME_HOP_ANG
        assert difference_ang(prints[0], prints[2]) == np.inf

    def test_a_small_strain_is_the_same_hop_and_a_large_one_is_not(self):
        strained = LITIS2.copy()
        strained.apply_strain(0.002)
        assert [(a, b) for a, b, _ in same_hops([fingerprint(GOOD[0]), fingerprint(hop("s", strained))])] == [
            (0, 1)
        ]
        strained.apply_strain(0.03)
        assert list(same_hops([fingerprint(GOOD[0]), fingerprint(hop("s", strained))])) == []

    def test_pairs_are_those_of_comparing_each_with_each(self):
        rng = np.random.default_rng(1)
        prints = []
        for _ in range(40):
            crystal = LITIS2.copy()
            crystal.apply_strain(float(rng.uniform(-0.02, 0.02)))
            prints.append(fingerprint(hop("x", crystal)))
        naive = {
            (a, b)
            for a in range(40)
            for b in range(a + 1, 40)
            if difference_ang(prints[a], prints[b]) <= SAME_HOP_ANG
        }
        assert {(a, b) for a, b, _ in same_hops(prints)} == naive
        assert 0 < len(naive) < 780

    def test_groups(self):
        assert groups_of_same([(3, 1, 0.0), (5, 6, 0.0), (6, 1, 0.0), (0, 9, 0.0)]) == [[0, 9], [1, 3, 5, 6]]


class TestLabels:
    def test_duplicate_ids(self):
        finding = found([*GOOD, hop("a", image=(0, 1, 1), barrier_ev=1.0)])["error", "duplicate ids"]
        assert finding.ids == ("a",)

    @pytest.mark.parametrize("wrong", [0.0, -0.3, float("nan"), float("inf")])
    def test_barriers_that_are_none(self, wrong):
        finding = found([*GOOD[1:], replace(GOOD[0], barrier_ev=wrong)])["error", "barriers"]
        assert finding.ids == ("a",)

    @pytest.mark.parametrize(("unit", "others"), [("meV", "kJ/mol"), ("kJ/mol", "meV")])
    def test_barriers_in_another_unit(self, unit, others):
        wrong = [replace(record, barrier_ev=record.barrier_ev / EV_PER[unit]) for record in GOOD]
        finding = found(wrong)["error", "units of barriers"]
        assert len(finding.ids) == len(GOOD)
        median = np.median([record.barrier_ev for record in GOOD])
        assert f"{unit} would make it {median:.3g} eV" in finding.message

    def test_one_barrier_in_another_unit_is_named(self):
        wrong = [*GOOD[1:], replace(GOOD[0], barrier_ev=610.0)]
        assert found(wrong)["error", "units of barriers"].ids == ("a",)

    def test_a_set_in_hartree(self):
        crystals = [LITIS2, LICOO2, NACOO2]
        many = [
            hop(f"{k}{image[2]}", crystal, image=image, barrier_ev=0.3 / EV_PER["hartree"])
            for k, crystal in enumerate(crystals)
            for image in ((1, 0, 0), (0, 0, 1))
        ]
        finding = found(many)["warning", "units of barriers"]
        assert "as hartree it would be 0.3 eV" in finding.message

    def test_units_agree_with_those_that_tables_are_read_in(self):
        assert UNITS["meV"] == EV_PER["meV"]
        assert UNITS["kJ/mol"] == EV_PER["kJ/mol"]
        # CODATA 2018: e N_A, and the Hartree energy in J over e.
        assert EV_PER["kJ/mol"] == pytest.approx(1e3 / (1.602176634e-19 * 6.02214076e23), rel=1e-9)
        assert EV_PER["hartree"] == pytest.approx(4.3597447222071e-18 / 1.602176634e-19, rel=1e-9)


class TestSameHops:
    def again(self, **changes):
        """The first hop in a supercell and the other way round."""
        big = LITIS2.copy()
        big.make_supercell([2, 2, 1])
        ions = [k for k, site in enumerate(big) if site.specie.symbol == "Li"]
        apart = [(k, big[ions[0]].distance(big[k])) for k in ions[1:]]
        near = next(k for k, gap in apart if gap == pytest.approx(LITIS2.lattice.a))
        cells = np.round(big[ions[0]].frac_coords - big[near].frac_coords).astype(int)
        return replace(hop("again", big, near, ions[0], tuple(int(c) for c in -cells)), **changes)

    @pytest.mark.parametrize(("published", "severity"), [(True, "warning"), (False, "error")])
    def test_leaks_between_splits(self, published, severity):
        findings = found([*GOOD, self.again(barrier_ev=0.62, split="test")], published=published)
        assert set(findings[severity, "leaks between splits"].ids) == {"a", "again"}
        assert (severity, "conflicting labels") not in findings

    @pytest.mark.parametrize(("published", "severity"), [(True, "warning"), (False, "error")])
    def test_conflicting_labels(self, published, severity):
        findings = found([*GOOD, self.again(barrier_ev=0.9)], published=published)
        finding = findings[severity, "conflicting labels"]
        assert "a (0.61 eV) = again (0.9 eV)" in finding.message
        assert (severity, "leaks between splits") not in findings

    def test_the_same_hop_alike_labelled(self):
        assert ("warning", "hops told twice") in found([*GOOD, self.again(barrier_ev=0.62)])
        assert ("note", "hops told twice") in found([*GOOD, self.again(barrier_ev=0.62)], published=True)

    def test_hosts_that_splits_share(self):
        records = [*GOOD, hop("t", LICOO2, image=(0, 0, 1), barrier_ev=3.0, split="test")]
        finding = found([*records, hop("u", NACOO2, image=(0, 0, 1), barrier_ev=3.0, split="val")])
        assert finding["note", "shared hosts"].message.startswith(("1 of 1 test", "1 of 1 val"))
        # The same formula of the host with another ion is another host.
        alone = [GOOD[0], GOOD[3], hop("t", LICOO2, barrier_ev=0.4, split="test")]
        assert ("note", "shared hosts") not in found(alone)

    def test_hops_of_two_data_sets(self):
        sets = {"one": GOOD, "two": [self.again(), hop("z", LICOO2, image=(0, 0, 1))]}
        assert overlap(sets) == [("one:a (0.61 eV)", "two:again (0.5 eV)")]


class TestGeometry:
    def scaled(self, factor):
        crystal = LITIS2.copy()
        crystal.scale_lattice(crystal.volume * factor**3)
        return crystal

    @pytest.mark.parametrize(("factor", "text"), [(1 / 0.529177, "Bohr"), (0.1, "nm")])
    def test_lengths_in_another_unit(self, factor, text):
        finding = found([*GOOD[1:], hop("a", self.scaled(factor))])["error", "units of length"]
        assert finding.ids == ("a",)
        assert text in finding.message

    @pytest.mark.parametrize("factor", [0.93, 1.08])
    def test_strained_crystals_are_in_angstrom(self, factor):
        assert ("error", "units of length") not in found([hop("a", self.scaled(factor))])

    def test_atoms_on_one_another(self):
        crowded = LITIS2.copy()
        crowded.make_supercell([2, 2, 2])
        crowded.append("O", crowded[5].frac_coords + 0.02)
        assert found([hop("a", crowded)])["error", "atoms on one another"].ids == ("a",)
        assert ("warning", "atoms on one another") in found([hop("a", crowded)], published=True)

    def test_no_hop_and_a_long_one(self):
        near = Structure(Lattice.cubic(8.0), ["Li", "Li", "O"], [[0, 0, 0], [0.05, 0, 0], [0.5, 0.5, 0.5]])
        assert ("error", "hop length") in found([hop("a", near, 0, 1, (0, 0, 0))])
        assert ("warning", "hop length") in found([hop("a", image=(3, 0, 0))])

    def test_an_atom_in_the_way(self):
        blocked = Structure(Lattice.cubic(4.2), ["Li", "F"], [[0, 0, 0], [0.5, 0, 0]])
        assert found([hop("a", blocked)])["warning", "atoms in the way"].ids == ("a",)
        assert ("warning", "atoms in the way") not in found([hop("a", blocked, image=(0, 1, 0))])


def test_notes_of_readers_are_told():
    noted = replace(GOOD[0], note="something was assumed")
    assert found([noted])["note", "reading"].message == "a: something was assumed."


def test_nothing_to_check():
    assert found([])["error", "hops"].ids == ()
