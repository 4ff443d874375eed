"""Whether the Materials Project's entries are found, joined and read, by its own client from our server."""

import copy
import pickle

import pytest
from emmet.core.types.typing import format_identifier

from storage.records import Reason
from tasks.candidates.entries import content_digest
from tasks.candidates.materials_project import MaterialsProjectQuery, MaterialsProjectSource
from tasks.candidates.materials_project_documents import normal_id, other_spellings
from tasks.candidates.source import RejectedError
from tests.servers.materials_project import KEY

ANY = {"e_above_hull_max_ev": None}
ALONE = {"kind": "materials", "elements": ("Li",), "e_above_hull_max_ev": None}


def indexed(source):
    pages = list(source.index())
    return {entry.entry_id: entry for page in pages for entry in page.entries}


def quarantined(source):
    return [bad for page in source.index() for bad in page.quarantined]


def legacy(ids):
    return {format_identifier(one, legacy=True) for one in ids}


def test_electrodes_are_those_of_the_ion_joined_to_their_discharged_material(mp_server):
    source = MaterialsProjectSource(MaterialsProjectQuery(**ANY), page=20)
    assert source.version() == mp_server.world.db_version
    index = indexed(source)
    fetched = source.fetch(sorted(index))
    # GNoME's materials have no electrodes here; deprecated ones still do, and are vanished.
    there = {f"{one}-Li" for one in legacy(mp_server.world.ids(ion="Li"))}
    gone = {f"{one}-Li" for one in legacy(mp_server.world.ids(ion="Li", deprecated=True))} - there
    assert gone
    assert {entry.entry_id for entry in fetched.entries} == there
    assert set(fetched.vanished) == gone
    assert set(index) == there | gone
    entry = fetched.entries[0]
    facts = mp_server.world.find(entry.entry_id.removesuffix("-Li"))
    (material,) = source.material(entry.content)
    assert material.material_id == entry.entry_id
    assert material.average_voltage_v == facts.voltage_v
    assert material.max_delta_volume_fraction == facts.volume_change
    assert material.stability_charge_ev == facts.stability_charge_ev
    assert material.e_above_hull_ev == facts.e_hull_ev
    assert material.band_gap_ev == facts.gap_ev
    assert material.licence == "CC-BY-4.0"
    assert material.last_updated_at is not None
    view = mp_server.world.material(facts, "summary")
    assert material.structure.composition == view.composition
    assert material.structure.volume == pytest.approx(view.volume_ang3)
    assert material.other_ids == (f"mp-{facts.number}", facts.material_id)


def test_origin_says_experiment_or_theory(mp_server):
    source = MaterialsProjectSource(MaterialsProjectQuery(**ANY))
    origins = set()
    for entry in source.fetch(sorted(indexed(source))[:20]).entries:
        (material,) = source.material(entry.content)
        facts = mp_server.world.find(material.source_ref)
        expected = "theory" if facts.theoretical else f"experiment (icsd-{facts.number})"
        assert material.origin == expected
        origins.add(expected)
    assert len(origins) > 2


@pytest.mark.parametrize(
    ("asked", "test"),
    [
        ({"voltage_min_v": 3.0, "voltage_max_v": 4.0}, lambda f, m: 3.0 <= f.voltage_v <= 4.0),
        ({"capacity_min_mah_g": 200.0}, lambda f, m: m.capacity_mah_g >= 200.0),
        ({"stability_charge_max_ev": 0.05}, lambda f, m: f.stability_charge_ev <= 0.05),
        ({"stability_discharge_max_ev": 0.05}, lambda f, m: f.e_hull_ev <= 0.05),
        ({"volume_change_max_fraction": 0.1}, lambda f, m: f.volume_change <= 0.1),
        ({"e_above_hull_max_ev": 0.03}, lambda f, m: f.e_hull_ev <= 0.03),
        ({"max_sites": 4}, lambda f, m: len(m.species) <= 4),
        ({"elements": ("Co",)}, lambda f, m: "Co" in m.elements),
        ({"exclude_elements": ("Co", "Ni")}, lambda f, m: not {"Co", "Ni"} & set(m.elements)),
    ],
)
def test_bounds_of_electrodes(mp_server, asked, test):
    world = mp_server.world
    every = [world.find(one) for one in world.ids(ion="Li")]
    expected = {f"mp-{f.number}-Li" for f in every if test(f, world.material(f, "electrodes"))}
    assert 0 < len(expected) < len(every)
    source = MaterialsProjectSource(MaterialsProjectQuery(**ANY | asked))
    found = source.fetch(sorted(indexed(source)))
    assert {entry.entry_id for entry in found.entries} == expected


def test_one_chemical_system(mp_server):
    world = mp_server.world
    system = world.material(world.find("mp-22526"), "summary").chemsys
    every = [world.find(one) for one in world.ids(ion="Li")]
    expected = {f"mp-{f.number}" for f in every if world.material(f, "summary").chemsys == system}
    for kind, suffix in (("materials", ""), ("electrodes", "-Li")):
        source = MaterialsProjectSource(MaterialsProjectQuery(kind=kind, chemsys=(system,), **ANY))
        found = source.fetch(sorted(indexed(source)))
        assert {entry.entry_id for entry in found.entries} == {one + suffix for one in expected}


def test_oxides_hold_the_ion_oxygen_and_a_transition_metal_near_the_hull(mp_server):
    source = MaterialsProjectSource(MaterialsProjectQuery(kind="oxides", e_above_hull_max_ev=0.05), page=7)
    world = mp_server.world
    every = [world.find(one) for one in world.ids(ion="Li")]
    expected = {
        f"mp-{f.number}"
        for f in every
        if f.e_hull_ev <= 0.05
        and "O" in world.material(f, "summary").elements
        and any(e.is_transition_metal for e in world.material(f, "summary").composition.elements)
    }
    assert 0 < len(expected) < len(every)
    assert set(indexed(source)) == expected
    (request,) = {
        tuple(sorted(r.params.items())) for r in mp_server.made("summary") if r.params["_page"] == "1"
    }
    assert dict(request)["elements"] == "Li,O"
    assert dict(request)["energy_above_hull_max"] == "0.05"


def test_gnome_only_when_asked_for(mp_server):
    without = MaterialsProjectSource(MaterialsProjectQuery(kind="oxides", **ANY))
    asked = MaterialsProjectSource(MaterialsProjectQuery(kind="oxides", include_gnome=True, **ANY))
    gnome = set(indexed(asked)) - set(indexed(without))
    assert gnome
    assert all(mp_server.world.find(one).gnome for one in gnome)
    found = asked.fetch(sorted(gnome))
    assert {entry.licence for entry in found.entries} == {"CC-BY-NC-4.0"}
    assert asked.material(found.entries[0].content)[0].licence == "CC-BY-NC-4.0"
    assert set(without.fetch(sorted(gnome)).vanished) == gnome
    assert "NC" in asked.citation("2026.01.15").licence
    assert "NC" not in without.citation("2026.01.15").licence


def test_a_gnome_entry_is_left_out_where_the_server_does_not_listen(mp_server):
    name = mp_server.world.ids(ion="Li")[0]
    source = MaterialsProjectSource(MaterialsProjectQuery(**ALONE))
    assert format_identifier(name, legacy=True) in indexed(source)
    mp_server.faults.malform(name, put={"builder_meta": {"batch_id": "gnome_r2scan_statics"}})
    assert format_identifier(name, legacy=True) not in indexed(source)


@pytest.mark.parametrize("kind", ["materials", "electrodes"])
def test_a_named_gnome_entry_is_absent_where_the_server_does_not_listen(mp_server, kind):
    name = mp_server.world.ids(ion="Li")[0]
    mp_server.faults.malform(name, put={"builder_meta": {"batch_id": "gnome_r2scan_statics"}})
    source = MaterialsProjectSource(MaterialsProjectQuery(kind=kind, material_ids=(name,)))
    assert [(one.entry_id, one.absent) for one in indexed(source).values()] == [(source.named()[0], True)]
    assert source.fetch(source.named()).vanished == tuple(source.named())


def test_ids_in_either_spelling_whatever_the_bounds(mp_server):
    far = max(mp_server.world.ids(ion="Li"), key=lambda one: mp_server.world.find(one).e_hull_ev)
    number = mp_server.world.find(far).number
    assert mp_server.world.find(far).e_hull_ev > 0.1
    alpha = format_identifier(far, legacy=False)
    asked = [
        MaterialsProjectQuery(kind="materials", material_ids=(f"mp-{number}", "mp-1")),
        MaterialsProjectQuery(kind="materials", material_ids=("mp-1", alpha, f"mp-{number}")),
    ]
    first, second = (MaterialsProjectSource(one) for one in asked)
    assert first.query() == second.query()
    index = indexed(first)
    assert set(index) == {f"mp-{number}", "mp-1"} == set(indexed(second))
    fetched = first.fetch(sorted(index))
    assert [entry.entry_id for entry in fetched.entries] == [f"mp-{number}"]
    assert fetched.vanished == ("mp-1",)
    assert sorted(first.named()) == sorted(index)
    assert {name for name, one in index.items() if one.absent} == {"mp-1"}


def test_what_is_named_and_has_no_electrode_of_the_ion_is_absent(mp_server):
    world = mp_server.world
    gnome = next(one for one in world.ids(gnome=True) if world.find(one).gnome)
    there, sodium = world.ids(ion="Li")[0], world.ids(ion="Na")[0]
    asked = MaterialsProjectQuery(**ANY, material_ids=tuple(legacy([there, gnome, sodium])))
    source = MaterialsProjectSource(asked)
    index = indexed(source)
    assert sorted(index) == sorted(source.named())
    absent = {name for name, one in index.items() if one.absent}
    assert absent == {f"{one}-Li" for one in legacy([gnome, sodium])}
    assert set(source.fetch(sorted(index)).vanished) == absent


def test_two_spellings_of_one_material_are_one_entry_with_an_alias(mp_server):
    one, other = mp_server.world.ids(ion="Li")[:2]
    number = mp_server.world.find(one).number
    mp_server.world.spelling = "legacy"
    alpha = format_identifier(one, legacy=False)
    mp_server.faults.malform(other, put={"material_id": alpha})
    index = indexed(MaterialsProjectSource(MaterialsProjectQuery(**ALONE)))
    assert index[f"mp-{number}"].aliases == (alpha,)
    assert f"mp-{mp_server.world.find(other).number}" not in index


def test_of_several_electrodes_of_one_material_the_same_is_kept_and_the_others_are_noted(mp_server):
    one, other = mp_server.world.ids(ion="Li")[:2]
    first, second = mp_server.world.find(one), mp_server.world.find(other)
    mp_server.faults.malform(
        other, kind="electrodes", put={"id_discharge": f"mp-{first.number}", "capacity_grav": 9999.0}
    )
    source = MaterialsProjectSource(MaterialsProjectQuery(**ANY))
    index = indexed(source)
    (entry,) = source.fetch([f"mp-{first.number}-Li"]).entries
    assert entry.content["electrode"]["capacity_grav"] == 9999.0
    assert [o["average_voltage"] for o in entry.content["electrode"]["others"]] == [first.voltage_v]
    assert source.material(entry.content)[0].average_voltage_v == second.voltage_v
    assert f"mp-{second.number}-Li" not in index
    # A source that did not pull the index itself gives the same.
    again = MaterialsProjectSource(MaterialsProjectQuery(**ANY), page=5)
    assert again.fetch([f"mp-{first.number}-Li"]).entries[0].digest() == entry.digest()


def test_digests_stay_until_something_changes(mp_server):
    source = MaterialsProjectSource(MaterialsProjectQuery(**ANY), page=20)
    before = indexed(source)
    contents = {e.entry_id: e.digest() for e in source.fetch(sorted(before)).entries}
    mp_server.world.release()
    mp_server.world.spelling = "alpha"
    assert {k: v.digest for k, v in indexed(source).items()} == {k: v.digest for k, v in before.items()}
    assert {e.entry_id: e.digest() for e in source.fetch(sorted(before)).entries} == contents
    one, other, third = list(contents)[:3]
    mp_server.world.change(one.removesuffix("-Li"), "structure")
    mp_server.world.change(other.removesuffix("-Li"), "metadata")
    mp_server.world.change(third.removesuffix("-Li"), "battery")
    after = indexed(source)
    # A battery's own id may drift; its entry stays.
    assert {k for k in before if after[k].digest != before[k].digest} == {one, other}
    now = {e.entry_id: e.digest() for e in source.fetch([one, other, third]).entries}
    assert {k for k in now if now[k] != contents[k]} == {one, other}


def test_vanished_and_deprecated_between_index_and_fetch(mp_server):
    source = MaterialsProjectSource(MaterialsProjectQuery(**ANY))
    names = sorted(indexed(source))[:4]
    mp_server.world.remove(names[0].removesuffix("-Li"))
    mp_server.world.deprecate(names[1].removesuffix("-Li"))
    fetched = source.fetch(names)
    assert set(fetched.vanished) == set(names[:2])
    assert [entry.entry_id for entry in fetched.entries] == names[2:]
    # Its electrode is still there, the removed one's is not.
    index = indexed(source)
    assert names[0] not in index
    assert names[1] in index


@pytest.mark.parametrize(
    "put",
    [
        {"structure": None},
        {"structure": {"lattice": {"matrix": [[1, 0, 0], [0, 1, 0], [1, 1, 0]]}, "sites": []}},
        {"structure": {"lattice": {"matrix": [[3, 0, 0], [0, 3, 0], [0, 0, 3]]}, "sites": []}},
        {"structure": "deleted"},
        {"last_updated": "yesterday"},
        {"energy_above_hull": "low"},
    ],
)
def test_a_malformed_document_is_quarantined_and_the_others_are_kept(mp_server, put):
    name = mp_server.world.ids(ion="Li")[3]
    mp_server.faults.malform(name, put=put)
    entry_id = f"{format_identifier(name, legacy=True)}-Li"
    source = MaterialsProjectSource(MaterialsProjectQuery(**ANY))
    every = {f"{one}-Li" for one in legacy(mp_server.world.ids(ion="Li"))}
    fetched = source.fetch(sorted(every))
    assert {entry.entry_id for entry in fetched.entries} == every - {entry_id}
    (bad,) = fetched.quarantined
    assert (bad.entry_id, bad.reason) == (entry_id, Reason.MALFORMED_DOCUMENT)
    assert next(iter(put)) in bad.message
    assert len(bad.message) < 2000


def test_one_malformed_document_among_a_thousand(mp_server):
    mp_server.world.add(1000)
    mp_server.faults.malform("mp-22526", put={"structure": {"sites": None}})
    source = MaterialsProjectSource(MaterialsProjectQuery(**ALONE))
    index = indexed(source)
    fetched = source.fetch(sorted(index))
    assert [bad.entry_id for bad in fetched.quarantined] == ["mp-22526"]
    assert {entry.entry_id for entry in fetched.entries} == set(index) - {"mp-22526"}
    assert len(index) == len(mp_server.world.ids(ion="Li")) > 600


def test_unknown_elements_and_missing_structures_are_quarantined(mp_server):
    one, other = mp_server.world.ids(ion="Li")[:2]
    matrix = [[4, 0, 0], [0, 4, 0], [0, 0, 4]]
    site = {"species": [{"element": "Xx", "occu": 1}], "abc": [0, 0, 0]}
    mp_server.faults.malform(one, put={"structure": {"lattice": {"matrix": matrix}, "sites": [site]}})
    mp_server.faults.malform(other, drop=("structure",))
    source = MaterialsProjectSource(MaterialsProjectQuery(**ALONE))
    names = sorted(legacy([one, other]))
    fetched = source.fetch(names)
    assert [bad.entry_id for bad in fetched.quarantined] == names
    assert fetched.entries == fetched.vanished == ()


def test_documents_without_an_id_are_found_out_one_by_one(mp_server):
    one, other, gone = mp_server.world.ids(ion="Li")[:3]
    mp_server.faults.malform(one, drop=("material_id",))
    mp_server.world.remove(gone)
    source = MaterialsProjectSource(MaterialsProjectQuery(**ALONE))
    fetched = source.fetch(sorted(legacy([one, other, gone])))
    assert {bad.entry_id for bad in fetched.quarantined} == legacy([one])
    assert {entry.entry_id for entry in fetched.entries} == legacy([other])
    assert set(fetched.vanished) == legacy([gone])


def test_a_malformed_document_of_the_index_is_quarantined(mp_server):
    one, other = mp_server.world.ids(ion="Li")[:2]
    mp_server.faults.malform(one, kind="electrodes", put={"average_voltage": "high"})
    mp_server.faults.malform(other, put={"nsites": "many"})
    source = MaterialsProjectSource(MaterialsProjectQuery(**ANY))
    assert {bad.entry_id for bad in quarantined(source)} == {f"{name}-Li" for name in legacy([one, other])}
    plain = MaterialsProjectSource(MaterialsProjectQuery(**ALONE))
    assert {bad.entry_id for bad in quarantined(plain)} == legacy([other])


def test_content_is_read_without_a_network_and_refused_when_it_is_not_ours(mp_server, monkeypatch):
    source = MaterialsProjectSource(MaterialsProjectQuery(**ANY))
    (entry,) = source.fetch(["mp-22526-Li"]).entries
    for name in ("LIHOP_MP_API_KEY", "LIHOP_MP_ENDPOINT"):
        monkeypatch.delenv(name)
    copied = pickle.loads(pickle.dumps(source))
    assert copied.material(entry.content)[0].material_id == "mp-22526-Li"
    assert copied.query() == source.query()
    spoiled = copy.deepcopy(dict(entry.content))
    spoiled["summary"]["structure"]["sites"] = []
    for content in (spoiled, {}, {"summary": None}):
        with pytest.raises(RejectedError) as caught:
            copied.material(content)
        assert caught.value.reason == Reason.MALFORMED_DOCUMENT


def test_two_queries_are_one_when_they_ask_the_same(mp_server):
    one = MaterialsProjectSource(MaterialsProjectQuery(elements=("Mn", "Co"), chemsys=("O-Li-Mn",)))
    same = MaterialsProjectSource(MaterialsProjectQuery(elements=("Co", "Mn", "Co"), chemsys=("Li-Mn-O",)))
    other = MaterialsProjectSource(MaterialsProjectQuery(elements=("Mn",), chemsys=("Li-Mn-O",)))
    assert content_digest(one.query()) == content_digest(same.query()) != content_digest(other.query())


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"kind": "materials"}, "needs a filter"),
        ({"elements": ("Xyz",)}, "no element symbol"),
        ({"chemsys": ("Li Co O",)}, "no chemical system"),
        ({"chemsys": ("Co-O",)}, "lacks the working ion"),
        ({"material_ids": ("LiCoO2",)}, "such as mp-22526"),
        ({"material_ids": ("mp-1",), "elements": ("O",)}, "take away one"),
        ({"voltage_min_v": 4.0, "voltage_max_v": 3.0}, "above"),
        ({"kind": "oxides", "voltage_min_v": 3.0}, "go with the kind 'electrodes'"),
        ({"elements": ("Co",), "exclude_elements": ("Co",)}, "excluded"),
        ({"e_above_hull_max_ev": -1.0}, "greater than or equal to 0"),
        ({"api_key": KEY}, "Extra inputs"),
    ],
)
def test_bad_queries_are_refused(asked, said):
    with pytest.raises(ValueError, match=said):
        MaterialsProjectQuery(**asked)


def test_every_field_of_the_form_says_what_it_is():
    for name, one in MaterialsProjectQuery.model_json_schema()["properties"].items():
        assert one.get("title"), name
        assert one.get("description"), name


def test_every_search_has_a_filter():
    for kind in ("electrodes", "oxides", "materials"):
        more = {"elements": ("O",)} if kind == "materials" else {}
        query = MaterialsProjectQuery(kind=kind, e_above_hull_max_ev=None, max_sites=None, **more)
        assert query.summary_filters()["elements"]
        assert query.electrode_filters()["working_ion"] == "Li"


@pytest.mark.parametrize(
    ("given", "normal", "others"),
    [
        ("mp-22526", "mp-22526", ("mp-aaaabhik",)),
        ("mp-aaaabhik", "mp-22526", ("mp-aaaabhik",)),
        ("mp-bhik", "mp-22526", ("mp-aaaabhik",)),
        # Above the last number there is only the one with letters.
        ("mp-vwyxj", "mp-aaavwyxj", ()),
        ("mp-aaavwyxj", "mp-aaavwyxj", ()),
        ("mp-9999999", "mp-aaavwyxj", ()),
        # Its letters are those of mp-12, another material.
        ("mvc-12", "mvc-12", ()),
    ],
)
def test_spellings(given, normal, others):
    assert normal_id(given) == normal
    assert other_spellings(normal) == others
    assert all(normal_id(one) == normal for one in others)


@pytest.mark.parametrize("given", ["22526", "LiCoO2", "mp-22526_Li", "mp-", None, 22526, ["mp-22526"]])
def test_what_is_no_id_is_refused(given):
    with pytest.raises(ValueError, match="no id of the Materials Project"):
        normal_id(given)


def test_citation_names_paper_version_and_licence():
    cited = MaterialsProjectSource().citation("2026.01.15")
    assert "2026.01.15" in cited.text
    assert cited.dois == ("10.1063/1.4812323",)
    assert cited.licence == "CC-BY-4.0"
    assert "unstated" in MaterialsProjectSource().citation(None).text
