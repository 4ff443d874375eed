"""The protocol server beside the real client: its documents, its filters, what changes, how it starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest
import requests
from emmet.core.electrode import InsertionElectrodeDoc
from emmet.core.summary import SummaryDoc
from emmet.core.types.typing import format_identifier
from mp_api.client import MPRester
from pymatgen.core import Composition, Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from tasks.candidates.reference import quiet_spglib
from tests.servers.asking import ALL, SLIM, get, normal, summaries
from tests.servers.documents import ELECTRODES, SUMMARY, document
from tests.servers.material import GNOME_BATCH
from tests.servers.materials_project import KEY, World, arguments, serving


@pytest.mark.parametrize("spelling", ["legacy", "alpha", "mixed"])
def test_emmet_accepts_every_document_with_every_field_known_to_it(spelling):
    world = World(materials=60, spelling=spelling)
    for facts in world.facts():
        given = document("summary", world.material(facts, "summary"), None)
        assert set(given) <= set(SummaryDoc.model_fields)
        read = SummaryDoc(**given)
        structure = read.structure
        assert structure.composition == Composition(given["composition"])
        assert structure.volume == pytest.approx(given["volume"])
        assert structure.density == pytest.approx(given["density"])
        with quiet_spglib():
            number = SpacegroupAnalyzer(structure, 0.1).get_space_group_number()
        assert given["symmetry"]["number"] == number
        given = document("electrodes", world.material(facts, "electrodes"), None)
        assert set(given) - {"battery_id"} <= set(InsertionElectrodeDoc.model_fields)
        electrode = InsertionElectrodeDoc(**given)
        assert str(electrode.working_ion) == facts.ion
        assert facts.ion not in {site.specie.symbol for site in electrode.host_structure}
        assert format_identifier(str(electrode.battery_id).split("_")[0], legacy=False) == facts.material_id


def test_a_structure_is_what_pymatgen_would_write():
    world = World(materials=3)
    for facts in world.facts():
        given = world.material(facts, "summary").structure()
        written = Structure.from_dict(given).as_dict()
        assert Structure.from_dict(written) == Structure.from_dict(given)
        assert set(written) == set(given)
        assert set(written["sites"][0]) == set(given["sites"][0])
        assert set(written["lattice"]) == set(given["lattice"])


def test_capacity_is_that_of_all_ions_leaving():
    world = World(materials=20)
    facts = next(f for f in world.facts() if f.prototype == "ref-licoo2")
    electrode = document("electrodes", world.material(facts, "electrodes"), None)
    grams = Composition(electrode["formula_discharge"]).weight
    assert electrode["capacity_grav"] == pytest.approx(26801.4 / grams, rel=1e-4)
    assert electrode["energy_grav"] == pytest.approx(
        electrode["capacity_grav"] * electrode["average_voltage"]
    )


def test_worlds_are_the_same_for_the_same_seed_and_prefixes_of_larger_ones():
    def documents(world):
        return [document("summary", world.material(f, "summary"), None) for f in world.facts()[:40]]

    assert documents(World(materials=40)) == documents(World(materials=90))
    assert documents(World(materials=40)) != documents(World(materials=40, seed=1))


@pytest.mark.slow
def test_twenty_thousand_documents_are_served_in_the_memory_of_a_page():
    with serving(World(materials=20_000)) as server:
        first = len(get(server, timeout=60, _limit="1000", _fields="material_id,structure")[2])
        total = len(server.world.ids(gnome=True))
        tracemalloc.start()
        try:
            given = 0
            for skip in range(0, total, 1000):
                page = {"_limit": "1000", "_skip": str(skip), "_fields": "material_id,structure"}
                _, _, body = get(server, timeout=60, **page)
                given += body.count(b'"material_id"')
            held = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
    assert given == total
    assert held < 2 * first


def test_no_two_materials_are_alike():
    world = World(materials=2500, max_sites=8)
    seen = Counter()
    for facts in world.facts():
        seen[facts.prototype, facts.ion, tuple(sorted(facts.metals)), round(facts.scale, 2)] += 1
    assert len({f.material_id for f in world.facts()}) == 2500
    assert max(seen.values()) == 1


def test_the_client_reads_the_heartbeat(real_client, served):
    assert real_client.materials.summary.db_version == served.world.db_version
    with MPRester(KEY, endpoint=served.endpoint, notify_db_version=False) as other:
        assert other.materials.summary.db_version == served.world.db_version
        assert other.materials.summary.access_controlled_batch_ids == [GNOME_BATCH]


def test_the_client_pages_through_everything_once(real_client, served):
    found = summaries(real_client, chunk_size=7)
    assert sorted(found) == sorted(served.world.ids(gnome=True))
    assert served.count("summary") == -(-len(found) // 7)
    assert [one.params.get("_skip") for one in served.made("summary")][:3] == [None, "7", "14"]


def test_documents_become_the_clients_models(served):
    with MPRester(KEY, endpoint=served.endpoint, mute_progress_bars=True) as rester:
        electrodes = rester.materials.insertion_electrodes.search(working_ion="Li")
        one = electrodes[0]
        found = rester.materials.summary.search(material_ids=[str(one.id_discharge)])
    assert one.working_ion.symbol == "Li"
    assert one.thermo_type is None
    assert found[0].material_id == one.id_discharge
    assert found[0].structure.composition.reduced_formula == one.formula_discharge
    ions = {f.ion for f in served.world.facts() if f.electrode}
    assert ions == {"Li", "Na", "Mg"}
    assert len(electrodes) == sum(f.ion == "Li" for f in served.world.members("electrodes"))


def test_only_the_fields_asked_for_come(served):
    _, _, body = get(served, _fields="material_id,symmetry.number,symmetry.symbol,builder_meta.license")
    for one in json.loads(body)["data"]:
        assert set(one) == {"material_id", "symmetry", "builder_meta"}
        assert set(one["symmetry"]) == {"number", "symbol"}
        assert set(one["builder_meta"]) == {"license"}
    _, _, body = get(served, _limit="2")
    assert set(json.loads(body)["data"][0]) == {"material_id", "last_updated"}
    _, _, body = get(served, _limit="2", _all_fields="true")
    assert set(json.loads(body)["data"][0]) == set(SUMMARY)
    _, _, body = get(served, "materials/insertion_electrodes/", _limit="2", _all_fields="true")
    assert set(json.loads(body)["data"][0]) == set(ELECTRODES)


def brute(server, keep):
    world = server.world
    return sorted(
        f.material_id
        for f in world.facts()
        if not f.deprecated and keep(document("summary", world.material(f, "summary"), None))
    )


@pytest.mark.parametrize(
    ("query", "keep"),
    [
        ({"energy_above_hull": (0.0, 0.05)}, lambda d: d["energy_above_hull"] <= 0.05),
        ({"energy_above_hull": (0.02, 0.08)}, lambda d: 0.02 <= d["energy_above_hull"] <= 0.08),
        ({"elements": ["Li", "O"]}, lambda d: {"Li", "O"} <= set(d["elements"])),
        ({"exclude_elements": ["Li", "S"]}, lambda d: not {"Li", "S"} & set(d["elements"])),
        ({"chemsys": "Co-Li-O"}, lambda d: set(d["elements"]) == {"Li", "Co", "O"}),
        ({"chemsys": ["Li-Ti-S", "O-Mn-Li"]}, lambda d: d["chemsys"] in {"Li-S-Ti", "Li-Mn-O"}),
        ({"chemsys": "Li-*-S"}, lambda d: len(d["elements"]) == 3 and {"Li", "S"} <= set(d["elements"])),
        ({"formula": "LiO4V2"}, lambda d: d["formula_pretty"] == "LiV2O4"),
        ({"formula": "ABC2"}, lambda d: d["formula_anonymous"] == "ABC2"),
        ({"theoretical": False}, lambda d: not d["theoretical"]),
        ({"is_stable": True}, lambda d: d["is_stable"]),
        ({"is_metal": False, "band_gap": (1, 3)}, lambda d: 1 <= d["band_gap"] <= 3),
        ({"num_elements": (3, 3)}, lambda d: d["nelements"] == 3),
        ({"num_sites": (5, 8)}, lambda d: 5 <= d["nsites"] <= 8),
        ({"volume": (30, 60)}, lambda d: 30 <= d["volume"] <= 60),
        ({"crystal_system": "Trigonal"}, lambda d: d["symmetry"]["crystal_system"] == "Trigonal"),
        ({"spacegroup_number": [166, 164]}, lambda d: d["symmetry"]["number"] in {164, 166}),
        ({"spacegroup_symbol": "R-3m"}, lambda d: d["symmetry"]["number"] == 166),
        ({"has_props": ["insertion_electrodes"]}, lambda d: d["has_props"]["insertion_electrodes"]),
        ({"g_vrh": (0, 1000)}, lambda _d: False),
    ],
)
def test_filters_of_the_client_select_what_they_say(real_client, served, query, keep):
    everything = {"energy_above_hull": None}
    found = summaries(real_client, **(everything | query))
    assert sorted(found) == brute(served, keep)
    assert len(found) < len(served.world.ids(gnome=True))


@pytest.mark.parametrize(
    ("query", "keep"),
    [
        ({"working_ion": ["Na", "Mg"]}, lambda d: d["working_ion"] in {"Na", "Mg"}),
        ({"average_voltage": (2.0, 4.0)}, lambda d: 2.0 <= d["average_voltage"] <= 4.0),
        ({"capacity_grav": (100, 250)}, lambda d: 100 <= d["capacity_grav"] <= 250),
        ({"max_delta_volume": (0.0, 0.1)}, lambda d: d["max_delta_volume"] <= 0.1),
        ({"stability_discharge": (0.0, 0.03)}, lambda d: d["stability_discharge"] <= 0.03),
        ({"num_elements": (1, 2)}, lambda d: d["nelements"] <= 2),
        ({"elements": ["O"]}, lambda d: "O" in d["elements"]),
        ({"exclude_elements": ["O"]}, lambda d: "O" not in d["elements"]),
        ({"formula": "CoO2"}, lambda d: d["framework_formula"] == "CoO2"),
    ],
)
def test_filters_on_electrodes_select_what_they_say(real_client, served, query, keep):
    world = served.world
    whole = [
        document("electrodes", world.material(f, "electrodes"), None) for f in world.members("electrodes")
    ]
    found = real_client.materials.insertion_electrodes.search(fields=["id_discharge"], **query)
    assert sorted(one["id_discharge"] for one in found) == sorted(d["id_discharge"] for d in whole if keep(d))
    assert 0 < len(found) < len(whole)


def test_a_battery_is_found_by_either_spelling_of_its_id(real_client, served):
    facts = next(served.world.members("electrodes"))
    for idx in (f"mp-{facts.number}_{facts.ion}", f"{facts.material_id}_{facts.ion}"):
        found = real_client.materials.insertion_electrodes.search(battery_ids=idx, fields=["id_discharge"])
        assert normal([found[0]["id_discharge"]]) == [facts.material_id]
    served.world.change(facts.material_id, "battery")
    assert not real_client.materials.insertion_electrodes.search(battery_ids=idx, fields=["id_discharge"])


def test_materials_are_found_by_either_spelling(real_client, served):
    wanted = served.world.ids()[:6]
    legacy = [format_identifier(one, legacy=True) for one in wanted]
    assert summaries(real_client, material_ids=wanted) == wanted
    assert summaries(real_client, material_ids=legacy) == wanted
    spelled = [
        one["material_id"] for one in real_client.materials.summary.search(material_ids=wanted, fields=SLIM)
    ]
    assert {one in wanted for one in spelled} == {True, False}, "a mixed world has both spellings"


def test_gnome_comes_unless_left_out(real_client, served):
    fields = ["material_id", "builder_meta"]
    found = real_client.materials.summary.search(energy_above_hull=ALL, fields=fields)
    licences = Counter(one["builder_meta"]["license"] for one in found)
    assert licences["BY-NC"] == sum(f.gnome and not f.deprecated for f in served.world.facts()) > 0
    without = real_client.materials.summary.search(energy_above_hull=ALL, fields=fields, include_gnome=False)
    assert {one["builder_meta"]["license"] for one in without} == {"BY-C"}
    assert len(without) == licences["BY-C"]


def test_deprecated_materials_come_only_when_asked_for(real_client, served):
    old = [f.material_id for f in served.world.facts() if f.deprecated]
    assert old
    assert not set(old) & set(summaries(real_client))
    assert not summaries(real_client, material_ids=old)
    assert summaries(real_client, material_ids=old, deprecated=True) == old


def test_long_lists_of_ids_make_the_client_split(real_client, served):
    wanted = [*served.world.ids(), *(f"mp-{2_000_000 + k}" for k in range(900))]
    assert sorted(summaries(real_client, material_ids=wanted)) == sorted(served.world.ids())
    assert served.requests[-1].status == 200
    assert {one.status for one in served.requests} == {200, 414}


def test_documents_can_be_sorted(real_client):
    fields = ["material_id", "band_gap"]
    found = real_client.materials.summary.search(
        energy_above_hull=ALL, fields=fields, _sort_fields="-band_gap", chunk_size=9
    )
    gaps = [one["band_gap"] for one in found]
    assert gaps == sorted(gaps, reverse=True)


@pytest.mark.parametrize(
    ("params", "status", "says"),
    [
        ({"mood": "good"}, 400, "cannot be used: mood"),
        ({"_limit": "1001"}, 400, "1000"),
        ({"_limit": "many"}, 422, "integer"),
        ({"band_gap_min": "wide"}, 422, "number"),
        ({"theoretical": "maybe"}, 422, "boolean"),
        ({"elements": "Li,Xx"}, 400, "elements"),
        ({"_skip": "-1"}, 422, "negative"),
    ],
)
def test_wrong_queries_are_refused_as_json(served, params, status, says):
    code, headers, body = get(served, **params)
    assert (code, headers["Content-Type"]) == (status, "application/json")
    assert says in str(json.loads(body)["detail"])


def test_faults_are_read_from_the_command_line():
    args = arguments(
        ["--fault", "status,status=429,times=3,retry_after=1", "--fault", "cut,page=last,times=all"]
    )
    first, second = args.fault
    assert (first.kind, first.status, first.times, first.retry_after) == ("status", 429, 3, 1)
    assert (second.kind, second.page, second.times) == ("cut", "last", None)
    for wrong in ("explode", "cut,colour=red"):
        with pytest.raises(SystemExit):
            arguments(["--fault", wrong])


def test_it_can_be_started_by_hand():
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-m", "tests.servers.materials_project", "--materials", "20"]
    with subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as child:
        try:
            lines = [child.stdout.readline() for _ in range(3)]
            settings = dict(one.split("=", 1) for one in lines[1].split()[1:])
            with requests.Session() as session:
                session.trust_env = False
                answer = session.get(
                    settings["LIHOP_MP_ENDPOINT"] + "materials/summary/",
                    headers={"x-api-key": settings["LIHOP_MP_API_KEY"]},
                    timeout=10,
                )
            assert answer.json()["meta"]["total_doc"] == len(World(materials=20).ids(gnome=True))
            child.send_signal(signal.SIGINT)
            rest, _ = child.communicate(timeout=30)
            assert (rest.split(), child.returncode) == (["stopped"], 0)
        finally:
            child.kill()


def test_the_fixture_tells_the_environment_where_it_is(mp_server):
    assert os.environ["LIHOP_MP_ENDPOINT"] == mp_server.endpoint
    assert get(mp_server, key=os.environ["LIHOP_MP_API_KEY"])[0] == 200
