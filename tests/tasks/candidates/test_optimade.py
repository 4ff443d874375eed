"""OPTIMADE as a source: what it asks, what it makes of answers, and every fault that a server has."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from storage.records import Reason
from tasks.candidates.cleaning import CleaningSettings, clean
from tasks.candidates.optimade import OptimadeQuery, OptimadeSource
from tasks.candidates.optimade_client import check_filter
from tasks.candidates.source import RawMaterial, RejectedError, SourceError
from tests.servers.optimade import OptimadeServer, document, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.candidates.entries import IndexEntry, Quarantined

NAMES = ["a", "b", "c", "d", "e"]


@pytest.fixture
def server() -> Iterator[OptimadeServer]:
    with serving([document(name, 4.0 + k / 10) for k, name in enumerate(NAMES)]) as running:
        yield running


def source_of(server: OptimadeServer, **asked: object) -> OptimadeSource:
    return OptimadeSource(OptimadeQuery(base_urls=(server.base_url,), **asked), wait_s=0.001)


def index_of(source: OptimadeSource) -> tuple[dict[str, IndexEntry], list[Quarantined]]:
    pages = list(source.index())
    bad = [one for page in pages for one in page.quarantined]
    return {one.entry_id: one for page in pages for one in page.entries}, bad


def place(server: OptimadeServer) -> str:
    return server.base_url.removeprefix("http://")


def test_pages_are_followed_and_counted(server: OptimadeServer) -> None:
    pages = list(source_of(server).index())
    assert [one.aliases for page in pages for one in page.entries] == [(name,) for name in NAMES]
    assert [(page.seen, page.total) for page in pages] == [(2, 5), (4, 5), (5, 5)]
    # A slim index: no structure was asked for.
    assert not any("lattice_vectors" in asked for asked in server.requests)


def test_entries_come_by_their_ids_and_are_the_crystals(server: OptimadeServer) -> None:
    source = source_of(server)
    ids = [*index_of(source)[0], f"{place(server)}/gone"]
    assert ids[0] == f"{place(server)}/a"
    fetched = pickle.loads(pickle.dumps(source)).fetch(ids)
    assert fetched.vanished == (ids[-1],)
    for k, entry in enumerate(sorted(fetched.entries, key=lambda one: one.entry_id)):
        (material,) = source.material(json.loads(json.dumps(entry.content)))
        assert isinstance(material, RawMaterial)
        assert material.material_id == ids[k]
        assert material.other_ids == (NAMES[k],)
        assert material.source_ref == f"{server.base_url}/v1/structures/{NAMES[k]}"
        assert material.structure.volume == pytest.approx((4.0 + k / 10) ** 3 / 4)
        assert str(material.last_updated_at) == "2024-05-01 00:00:00+00:00"
        assert clean(material, CleaningSettings(), "key").formula == "LiF"


def test_content_stays_the_same_from_one_answer_to_the_next(server: OptimadeServer) -> None:
    source = source_of(server)
    ids = list(index_of(source)[0])
    one, other = ({e.entry_id: e.digest() for e in source.fetch(ids).entries} for _ in range(2))
    assert one == other
    server.documents[1] = document("b", 5.0)
    assert [k for k, e in enumerate(source.fetch(ids).entries) if e.digest() != one[e.entry_id]] == [1]


def test_the_digest_of_an_index_follows_the_date(server: OptimadeServer) -> None:
    before, _ = index_of(source_of(server))
    server.documents[1] = document("b", last_modified="2025-01-01T00:00:00Z")
    after, _ = index_of(source_of(server))
    assert [name for name in before if before[name] != after[name]] == [f"{place(server)}/b"]


def test_without_a_date_the_digest_follows_the_content(server: OptimadeServer) -> None:
    server.documents[:] = [document(name, 4.0, last_modified=None) for name in NAMES]
    before, _ = index_of(source_of(server))
    server.documents[3] = document("d", 4.1, last_modified=None)
    after, _ = index_of(source_of(server))
    assert [name for name in before if before[name] != after[name]] == [f"{place(server)}/d"]


def test_no_more_than_asked_for_comes(server: OptimadeServer) -> None:
    pages = list(source_of(server, max_entries=3).index())
    assert [(len(page.entries), page.seen, page.total) for page in pages] == [(2, 2, 3), (1, 3, 3)]


def test_two_databases_may_call_entries_alike(server: OptimadeServer) -> None:
    with serving([document("a", 5.0)]) as second:
        asked = OptimadeQuery(base_urls=(server.base_url, second.base_url))
        source = OptimadeSource(asked, wait_s=0.001)
        found, _ = index_of(source)
        assert set(found) == {f"{place(server)}/{name}" for name in NAMES} | {f"{place(second)}/a"}
        assert [page.seen for page in source.index()][-1] == 6
        fetched = source.fetch([f"{place(second)}/a"])
        assert [entry.content["base_url"] for entry in fetched.entries] == [second.base_url]


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        ({}, 'elements HAS ALL "Li" AND nsites<=300'),
        (
            {"working_ion": "Na", "elements": ("O", "Na"), "any_of": ("Mn", "Fe"), "max_elements": 4},
            'elements HAS ALL "Na", "O" AND elements HAS ANY "Mn", "Fe" AND nelements<=4 AND nsites<=300',
        ),
        ({"filter": 'chemical_formula_reduced="FLi"'}, 'chemical_formula_reduced="FLi"'),
    ],
)
def test_filters_are_optimades_own_and_arrive_whole(server: OptimadeServer, asked: dict, text: str) -> None:
    source = source_of(server, **asked)
    check_filter(text)
    list(source.index())
    from urllib.parse import parse_qs, urlsplit

    assert parse_qs(urlsplit(server.requests[0]).query)["filter"] == [text]


@pytest.mark.parametrize("name", ['q"uote', "back\\slash", "and & plus + hash #", "ü/slash", "50%"])
def test_strange_ids_are_asked_for_as_they_are(server: OptimadeServer, name: str) -> None:
    from urllib.parse import parse_qs, urlsplit

    source_of(server).fetch([f"{place(server)}/{name}"])
    (text,) = parse_qs(urlsplit(server.requests[0]).query)["filter"]
    check_filter(text)
    assert text == "id=" + json.dumps(name, ensure_ascii=False)


def test_many_ids_are_asked_for_in_urls_of_bounded_length(server: OptimadeServer) -> None:
    server.documents[:] = [document(f"a-rather-long-identifier-{k:04d}") for k in range(90)]
    fetched = source_of(server).fetch([f"{place(server)}/{one['id']}" for one in server.documents])
    assert len(fetched.entries) == 90
    assert max(map(len, server.requests)) < 2000


def test_a_bad_filter_is_refused_before_anything_is_sent(server: OptimadeServer) -> None:
    with pytest.raises(SourceError, match="is no OPTIMADE filter"):
        list(source_of(server, filter="elements HAS HAS").index())
    assert server.requests == []


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"base_urls": ("http://example.org",)}, "is not https"),
        ({"base_urls": ("https://x.org/?api_key=secret",)}, "holds a query"),
        ({"base_urls": ("https://x.org/v1/structures?api_key=secret",)}, "holds a query"),
        ({"base_urls": ("https://x.org/v1", "https://x.org")}, "one is there twice"),
        ({"base_urls": ()}, "at least 1"),
        ({"working_ion": "Lithium"}, "no element symbol"),
        ({"elements": ("Oxygen",)}, "no element symbol"),
        ({"max_entries": 0}, "greater than or equal to 1"),
        ({"base_urls": ("https://someone:secret@optimade.example",)}, "https"),
    ],
)
def test_a_query_out_of_bounds_is_refused(asked: dict, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        OptimadeQuery(**asked)


def test_a_base_url_may_end_in_its_version() -> None:
    assert OptimadeQuery(base_urls=("https://x.org/optimade/v1/",)).base_urls == ("https://x.org/optimade",)


def test_version_and_licence_are_what_the_database_states(server: OptimadeServer) -> None:
    source = source_of(server)
    assert source.version() is None
    server.database = {"id": "x", "version": "2026.1"}
    assert source.version() == "2026.1"
    server.info["available_licenses"] = ["CC-BY-4.0"]
    (entry,) = source.fetch([f"{place(server)}/a"]).entries
    assert entry.licence == "CC-BY-4.0"
    assert source.citation("2026.1").licence == "CC-BY-4.0"
    assert "version 2026.1" in source.citation("2026.1").text
    (material,) = source.material(entry.content)
    assert isinstance(material, RawMaterial)
    assert material.licence == "CC-BY-4.0"


BROKEN = [
    ({"lattice_vectors": None}, "it has no lattice_vectors"),
    ({"species": None, "species_at_sites": None}, "it has no species, species_at_sites"),
    ({"species_at_sites": ["Li"]}, "do not go together"),
    ({"species_at_sites": ["Li", "Cl"]}, "structure cannot be made"),
    ({"lattice_vectors": [[1, 0, 0], [0, 1, 0], [0, 0, None]]}, "finite"),
    ({"species": [{"name": "Li"}, {"name": "F"}]}, "structure cannot be made"),
    ({"structure_features": ["\ud800"]}, "kept as JSON"),
]


@pytest.mark.parametrize(("changes", "why"), BROKEN)
def test_a_malformed_document_is_put_aside_and_the_rest_kept(
    server: OptimadeServer, changes: dict, why: str
) -> None:
    server.documents[2] = document("c", **changes)
    source = source_of(server)
    found, _ = index_of(source)
    fetched = source.fetch(list(found))
    assert [entry.content["id"] for entry in fetched.entries] == ["a", "b", "d", "e"]
    (bad,) = fetched.quarantined
    assert (bad.entry_id, bad.reason) == (f"{place(server)}/c", Reason.MALFORMED_DOCUMENT)
    assert why in bad.message
    assert fetched.vanished == ()


@pytest.mark.parametrize(
    "bad",
    [
        None,
        7,
        {},
        {"id": 3, "type": "structures"},
        {"id": "x", "type": "references"},
        {"id": "x", "type": "structures", "attributes": "none"},
    ],
)
def test_what_is_no_entry_is_put_aside_by_its_place(server: OptimadeServer, bad: object) -> None:
    server.documents[2] = bad
    found, put_aside = index_of(source_of(server))
    assert len(found) == 4
    assert [one.entry_id for one in put_aside] == [f"{place(server)}/document-3"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"nperiodic_dimensions": 2, "dimension_types": [1, 1, 0]}, "repeats in 2 of 3 dimensions"),
        ({"structure_features": ["implicit_atoms"]}, "atoms that are not among its sites"),
        ({"structure_features": ["unknown_positions"]}, "positions are unknown"),
    ],
)
def test_what_is_no_whole_crystal_is_refused_with_its_name(
    server: OptimadeServer, changes: dict, why: str
) -> None:
    server.documents[0] = document("a", **changes)
    source = source_of(server)
    (entry,) = source.fetch([f"{place(server)}/a"]).entries
    with pytest.raises(RejectedError, match=why) as caught:
        source.material(entry.content)
    assert f"{place(server)}/a" in str(caught.value)
    assert caught.value.formula == "FLi"


def test_partial_occupancy_comes_as_it_is_and_the_cleaning_refuses_it(server: OptimadeServer) -> None:
    half = {"name": "Li", "chemical_symbols": ["Li", "vacancy"], "concentration": [0.5, 0.5]}
    fluorine = {"name": "F", "chemical_symbols": ["F"], "concentration": [1.0]}
    server.documents[0] = document("a", species=[half, fluorine])
    source = source_of(server)
    (entry,) = source.fetch([f"{place(server)}/a"]).entries
    (material,) = source.material(entry.content)
    assert isinstance(material, RawMaterial)
    assert material.structure[0].species["Li"] == 0.5
    with pytest.raises(RejectedError) as caught:
        clean(material, CleaningSettings(), "key")
    assert caught.value.reason is Reason.PARTIAL_OCCUPANCY


def test_a_site_that_is_only_vacancy_holds_nothing(server: OptimadeServer) -> None:
    empty = {"name": "F", "chemical_symbols": ["vacancy"], "concentration": [1.0]}
    lithium = {"name": "Li", "chemical_symbols": ["Li"], "concentration": [1.0]}
    server.documents[0] = document("a", species=[lithium, empty])
    source = source_of(server)
    (entry,) = source.fetch([f"{place(server)}/a"]).entries
    (material,) = source.material(entry.content)
    assert isinstance(material, RawMaterial)
    assert [site.species_string for site in material.structure] == ["Li"]


HTML = b"<html><body>Bad gateway</body></html>"
PASSING = [
    {"status": 429, "headers": {"Retry-After": "0"}},
    {"status": 429, "body": {"errors": [{"title": "Too many", "detail": "slow down"}]}},
    {"status": 500, "body": HTML},
    {"status": 502, "body": HTML},
    {"status": 503},
    {"status": 504},
    {"status": 200, "body": HTML},
    {"status": 200, "body": b'{"data": [{"id": "a"'},
    {"status": 200, "body": b'{"data": []', "headers": {"Content-Length": "500"}},
]


@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_is_waited_for(server: OptimadeServer, fault: dict) -> None:
    server.faults = [dict(fault), dict(fault)]
    found, _ = index_of(source_of(server))
    assert len(found) == len(NAMES)


@pytest.mark.parametrize("fault", PASSING)
def test_what_does_not_pass_is_an_error_after_a_bounded_number_of_tries(
    server: OptimadeServer, fault: dict
) -> None:
    server.faults = [dict(fault)] * 100
    with pytest.raises(SourceError, match="tried 4 times") as caught:
        index_of(source_of(server))
    assert server.base_url in str(caught.value)
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (
            {"status": 400, "body": {"errors": [{"title": "Bad Request", "detail": "no such field"}]}},
            "no such field",
        ),
        ({"status": 403, "body": {"errors": [{"title": "Forbidden"}]}}, "status 403: Forbidden"),
        ({"status": 200, "body": {"errors": [{"detail": "broken"}], "data": [], "meta": {}}}, "broken"),
        ({"status": 200, "body": {"meta": {}}}, "without 'data'"),
        ({"status": 200, "body": {}}, "without 'data'"),
        ({"status": 200, "body": {"data": {}, "meta": {}}}, "no list"),
        ({"status": 200, "body": {"data": None, "meta": {}}}, "127.0.0.1"),
        ({"status": 200, "body": [1]}, "without 'data'"),
        ({"status": 302, "headers": {"Location": "http://192.0.2.1/"}}, "127.0.0.1"),
    ],
)
def test_a_refusal_says_what_the_server_said(
    server: OptimadeServer, fault: dict, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tasks.candidates import optimade_client

    monkeypatch.setattr(optimade_client, "CONNECT_S", 0.05)
    server.faults = [dict(fault)] * 10
    with pytest.raises(SourceError, match=why):
        index_of(source_of(server))


def test_a_server_that_is_not_there_is_named() -> None:
    source = OptimadeSource(OptimadeQuery(base_urls=("http://127.0.0.1:9",)), wait_s=0.001)
    for ask in (source.version, lambda: list(source.index()), lambda: source.fetch(["127.0.0.1:9/a"])):
        with pytest.raises(SourceError, match=r"http://127\.0\.0\.1:9 cannot be used"):
            ask()


@pytest.mark.parametrize("stated", [4, 6])
def test_pages_that_do_not_add_up_are_an_error(server: OptimadeServer, stated: int) -> None:
    server.stated = stated
    with pytest.raises(SourceError, match=f"says that {stated} entries match and gives 5"):
        index_of(source_of(server))


def test_what_a_short_answer_leaves_out_has_not_vanished(server: OptimadeServer) -> None:
    source = source_of(server)
    found, _ = index_of(source)
    server.stated = 7
    with pytest.raises(SourceError, match="says that 7 of 5 entries asked for by their ids are there"):
        source.fetch(list(found))


def test_an_entry_on_two_pages_is_one_and_found_by_the_count(server: OptimadeServer) -> None:
    server.documents[3] = document("a")
    with pytest.raises(SourceError, match="says that 5 entries match and gives 4"):
        index_of(source_of(server))
    server.stated = None
    assert len(index_of(source_of(server))[0]) == 4


def test_pages_without_end_are_an_error(server: OptimadeServer) -> None:
    server.next_url = "/v1/structures?page_offset=0&response_fields=id"
    server.stated = None
    with pytest.raises(SourceError, match="pages do not end"):
        index_of(source_of(server))


def test_a_next_page_elsewhere_is_refused(server: OptimadeServer) -> None:
    server.next_url = "https://example.org/v1/structures?page_offset=2"
    with pytest.raises(SourceError, match="which is elsewhere"):
        index_of(source_of(server))


def test_a_next_page_by_another_port_is_asked_for_where_the_first_came_from(server: OptimadeServer) -> None:
    server.next_url = "https://127.0.0.1:1/v1/structures?page_offset=2&response_fields=id,last_modified"
    server.documents.pop()
    assert [page.seen for page in source_of(server).index()] == [2, 4]


def test_an_endless_answer_is_cut(server: OptimadeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from tasks.candidates import optimade_client

    monkeypatch.setattr(optimade_client, "MAX_ANSWER_BYTES", 100)
    with pytest.raises(SourceError, match="in one answer"):
        index_of(source_of(server))
