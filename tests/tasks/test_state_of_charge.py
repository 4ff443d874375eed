"""Hops of charged hosts: the same network as when discharged, other surroundings, other barriers."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from tasks.candidates.cleaning import CleaningSettings, clean, load_charges, load_structure
from tasks.candidates.cleaning_state import charged_hash
from tasks.candidates.reference import ReferenceSource
from tasks.descriptors.assemble import INPUT_SPEC
from tasks.featurizing import featurize_one, find_hops
from tasks.hops.network import NetworkHop
from tasks.hops.sites import assign_charges
from tasks.stage_keys import HopSettings

SETTINGS = HopSettings()
CATHODES = ["ref-lifepo4", "ref-licoo2", "ref-limn2o4"]


@cache
def candidate_of(material_id: str, state: str):
    source = ReferenceSource()
    (item,) = [item for item in source.items() if item.item_id == material_id]
    (raw,) = source.read(item)
    return clean(raw, CleaningSettings(state=state), "key")


@cache
def featurized(material_id: str, state: str):
    return featurize_one(candidate_of(material_id, state), SETTINGS)


def image_of(hop):
    return hop.image if isinstance(hop, NetworkHop) else (hop.ox, hop.oy, hop.oz)


def places(hops):
    return [
        (hop.i, hop.j, image_of(hop), hop.orbit, hop.blocked_by)
        for hop in hops
        if hop.mechanism == "isolated"
    ]


@pytest.mark.parametrize("material_id", CATHODES)
def test_the_network_is_the_same_and_the_barriers_are_not(material_id):
    before, after = featurized(material_id, "discharged")[0], featurized(material_id, "charged")[0]
    assert places(after) == places(before)
    assert {hop.mechanism for hop in after} == {"isolated"}
    shortest = [hops[0].bvse_barrier_ev for hops in (before, after)]
    assert shortest[0] is not None
    assert abs(shortest[0] - shortest[1]) > 0.02
    assert not {hop.stage_key for hop in before} & {hop.stage_key for hop in after}


@pytest.mark.parametrize("material_id", CATHODES)
def test_empty_sites_are_those_of_the_discharged_host(material_id):
    settings = HopSettings(sites="bvse")
    found = []
    for state in ("discharged", "charged"):
        row = candidate_of(material_id, state)
        charged = state == "charged"
        found.append(find_hops(load_structure(row), load_charges(row), settings, charged=charged))
    (before, sites), (after, same_sites) = found
    assert len(sites)
    np.testing.assert_array_equal(same_sites, sites)
    assert places(after.hops) == places(before.hops)


def test_layered_hosts_have_divacancy_hops_only_while_other_ions_are_there():
    assert "divacancy" in {hop.mechanism for hop in featurized("ref-licoo2", "discharged")[0]}


@pytest.mark.parametrize("material_id", CATHODES)
def test_descriptors_say_that_no_other_ion_is_left(material_id):
    group = next(group for group in INPUT_SPEC.groups if group.name == "chemistry")
    left, near = (group.keys.index(name) for name in ("host_working_ion_share", "nearby_working_ion_share"))
    for state, share in (("discharged", 1.0), ("charged", 0.0)):
        rows = np.array([row["chemistry"] for row in featurized(material_id, state)[2]])
        assert (rows[:, left] == share).all()
        assert (rows[:, near] > 0).any() == (state == "discharged")
        assert np.isfinite(rows).all() == np.isfinite(rows[0]).all()


@pytest.mark.parametrize(
    ("material_id", "metal", "charge"),
    [("ref-lifepo4", "Fe", 3.0), ("ref-licoo2", "Co", 4.0), ("ref-limn2o4", "Mn", 4.0)],
)
def test_metals_of_charged_hosts_are_oxidised(material_id, metal, charge):
    charged = candidate_of(material_id, "charged")
    states = dict(
        zip((s.specie.symbol for s in load_structure(charged)), load_charges(charged).values, strict=True)
    )
    assert states[metal] == charge
    assert states["Li"] == 1.0
    assert states["O"] == -2.0
    host = load_structure(charged)
    host.remove_species(["Li"])
    of_host = [q for q, s in zip(load_charges(charged).values, load_structure(charged), strict=True)
               if s.specie.symbol != "Li"]  # fmt: skip
    assert of_host == list(assign_charges(host).values)


def test_a_host_that_cannot_be_oxidised_keeps_its_charges():
    from tasks.candidates.source import RawMaterial
    from tests.campaigns import antifluorite

    raw = RawMaterial(material_id="x", structure=antifluorite("Li", "O", 4.62), source="files")
    rows = [clean(raw, CleaningSettings(state=state), "k") for state in ("discharged", "charged")]
    assert rows[0].oxidation_states == rows[1].oxidation_states == [1.0, 1.0, -2.0]


def test_a_charged_candidate_is_told_from_the_discharged_one():
    before, after = (candidate_of("ref-lifepo4", state) for state in ("discharged", "charged"))
    assert (before.state, after.state) == ("discharged", "charged")
    assert after.structure_hash == after.material_key == charged_hash(before.structure_hash)
    assert after.structure_hash != before.structure_hash
    assert after.structure_json == before.structure_json
    same = ("material_id", "source", "formula", "n_sites", "n_working_ions", "capacity_mah_g", "volume_ang3")
    assert all(getattr(before, name) == getattr(after, name) for name in same)


def test_the_hull_of_a_charged_candidate_is_that_of_the_charged_material():
    from tasks.candidates.source import RawMaterial
    from tests.campaigns import layered

    raw = RawMaterial(
        material_id="x", structure=layered(), source="mp", e_above_hull_ev=0.01, stability_charge_ev=0.3
    )
    assert clean(raw, CleaningSettings(), "k").e_above_hull_ev == 0.01
    assert clean(raw, CleaningSettings(state="charged"), "k").e_above_hull_ev == 0.3
    unknown = RawMaterial(material_id="x", structure=layered(), source="mp", e_above_hull_ev=0.01)
    assert clean(unknown, CleaningSettings(state="charged"), "k").e_above_hull_ev is None
