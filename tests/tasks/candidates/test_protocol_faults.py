"""The protocol server beside the real client: whom it lets in, how it misbehaves, what changes in it."""

from __future__ import annotations

import json

import orjson
import pytest
import requests
from mp_api.client import MPRester
from mp_api.client.core.exceptions import MPRestError
from pydantic import ValidationError

from tests.servers.asking import get, summaries
from tests.servers.materials_project import KEY, World, serving


@pytest.mark.parametrize(("key", "says"), [("x" * 32, "Invalid authentication"), (None, "No API key")])
def test_a_wrong_or_missing_key_is_refused_as_json(served, key, says):
    code, _, body = get(served, key=key)
    assert code == 401
    assert says in json.loads(body)["message"]
    assert get(served, "heartbeat", key=None)[0] == 200


def test_the_client_says_that_its_key_was_refused(served):
    with (
        MPRester("x" * 32, endpoint=served.endpoint, mute_progress_bars=True) as rester,
        pytest.raises(MPRestError, match="401"),
    ):
        summaries(rester)


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_statuses_that_the_client_does_not_try_again(real_client, served, status):
    fault = served.faults.fail(status)
    with pytest.raises(MPRestError, match=str(status)):
        summaries(real_client)
    assert fault.befallen == 1
    assert served.count() == 1
    assert summaries(real_client)


@pytest.mark.parametrize("status", [429, 502, 504])
def test_statuses_that_the_client_tries_again(real_client, served, status):
    served.faults.fail(status, times=2)
    assert summaries(real_client)
    assert [one.status for one in served.made()] == [status, status, 200]


def test_retry_after_is_sent_as_it_was_given(served):
    served.faults.fail(429, retry_after=7)
    served.faults.fail(429, retry_after="Wed, 21 Oct 2026 07:28:00 GMT")
    served.faults.fail(429)
    headers = [get(served)[1] for _ in range(3)]
    assert [one.get("Retry-After") for one in headers] == ["7", "Wed, 21 Oct 2026 07:28:00 GMT", None]


def test_a_page_can_fail_alone(real_client, served):
    served.faults.fail(500, page=2, path="summary", times=None)
    with pytest.raises(MPRestError, match="500"):
        summaries(real_client, chunk_size=10)
    assert [one.status for one in served.made()] == [200, 200, 500]


def test_the_last_page_can_fail(real_client, served):
    served.faults.fail(503, page="last")
    pages = -(-len(served.world.ids(gnome=True)) // 10)
    with pytest.raises(MPRestError, match="503"):
        summaries(real_client, chunk_size=10)
    assert [one.status for one in served.made()] == [200] * (pages - 1) + [503]


def test_a_hanging_server_does_not_answer(served):
    served.faults.hang()
    with pytest.raises(requests.exceptions.ReadTimeout):
        get(served, timeout=0.2)
    assert get(served)[0] == 200


def test_a_connection_is_cut_in_mid_body(real_client, served):
    served.faults.cut()
    with pytest.raises(MPRestError, match="IncompleteRead"):
        summaries(real_client)
    assert summaries(real_client)


@pytest.mark.parametrize("fault", ["truncate", "html"])
def test_bodies_that_are_not_json(real_client, served, fault):
    getattr(served.faults, fault)()
    with pytest.raises(orjson.JSONDecodeError):
        summaries(real_client)


def test_an_answer_without_data(real_client, served):
    served.faults.no_data()
    with pytest.raises(KeyError, match="data"):
        summaries(real_client)


def test_a_short_page_goes_unnoticed_by_the_client(real_client, served):
    served.faults.short(3, page=1)
    assert len(summaries(real_client, chunk_size=10)) < len(served.world.ids(gnome=True))


def test_overlapping_pages_go_unnoticed_by_the_client(real_client, served):
    served.faults.overlap(3, page=1)
    found = summaries(real_client, chunk_size=10)
    assert len(found) == len(served.world.ids(gnome=True))
    assert len(set(found)) == len(found) - 3


def test_documents_can_be_malformed(real_client, served):
    first, second, third = served.world.ids()[:3]
    served.faults.malform(first, put={"energy_above_hull": "low"})
    served.faults.malform(second, drop=("structure",))
    served.faults.malform(third, drop=("material_id",))
    fields = ["material_id", "structure", "energy_above_hull"]
    one, two, three = real_client.materials.summary.search(material_ids=[first, second, third], fields=fields)
    assert one["energy_above_hull"] == "low"
    assert "structure" not in two
    assert "material_id" not in three
    with (
        MPRester(KEY, endpoint=served.endpoint, mute_progress_bars=True) as strict,
        pytest.raises(ValidationError, match="energy_above_hull"),
    ):
        strict.materials.summary.search(elements=["O"], fields=fields)
    served.faults.clear()
    assert "structure" in real_client.materials.summary.search(material_ids=[second], fields=fields)[0]


def test_the_heartbeat_fails_only_when_it_is_meant(served):
    served.faults.fail(500)
    assert get(served, "heartbeat")[0] == 200
    served.faults.fail(503, path="heartbeat")
    served.faults.html(path="heartbeat")
    assert get(served, "heartbeat")[0] == 503
    assert get(served, "heartbeat")[1]["Content-Type"] == "text/html"
    assert get(served)[0] == 500


def test_the_world_can_change_between_requests(real_client, served):
    world = served.world
    before = world.db_version
    gone = world.ids()[15]
    served.faults.then(lambda: (world.remove(gone), world.release()), after=1)
    found = summaries(real_client, chunk_size=10)
    assert gone not in found
    assert served.world.db_version == f"{before}.post1"
    assert json.loads(get(served, "heartbeat")[2])["db_version"] == f"{before}.post1"


def whole(server, material_id):
    body = get(server, material_ids=material_id, _all_fields="true")[2]
    return json.loads(body)["data"][0]


def test_changes_show_in_the_documents(served):
    world = served.world
    one = world.ids()[0]
    first = whole(served, one)
    world.change(one, "metadata")
    second = whole(served, one)
    assert second["structure"] == first["structure"]
    assert second["energy_above_hull"] > first["energy_above_hull"]
    assert second["last_updated"] > first["last_updated"]
    world.change(one, "structure")
    third = whole(served, one)
    assert third["structure"]["lattice"]["volume"] == pytest.approx(1.01 * second["volume"])
    assert third["last_updated"] > second["last_updated"]
    assert third["symmetry"] == first["symmetry"]


def test_materials_come_and_go(real_client, served):
    world = served.world
    before = summaries(real_client)
    world.remove(before[0])
    world.deprecate(before[1])
    world.add(3)
    after = summaries(real_client)
    assert set(before) - set(after) == set(before[:2])
    assert sorted(after) == sorted(world.ids(gnome=True))
    assert len(set(after) - set(before)) > 0
    with pytest.raises(KeyError, match="no such material"):
        world.find("mp-1")


def test_requests_can_be_counted(real_client, served):
    wanted = served.world.ids()[2:5]
    summaries(real_client)
    assert served.fetched() == []
    real_client.materials.summary.search(material_ids=wanted, fields=["material_id", "structure"])
    real_client.materials.insertion_electrodes.search(working_ion="Li", fields=["id_discharge"])
    assert served.fetched() == wanted
    assert (served.count("summary"), served.count("electrodes")) == (2, 1)
    served.forget()
    assert served.count() == 0


def test_a_server_that_stops_lets_hanging_clients_go():
    with serving(World(materials=5)) as server:
        server.faults.hang(seconds=600)
        with pytest.raises(requests.exceptions.ReadTimeout):
            get(server, timeout=0.1)
    with pytest.raises(requests.exceptions.ConnectionError):
        get(server)
