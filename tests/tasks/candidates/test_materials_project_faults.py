"""Whether the Materials Project's failures are waited out, told apart and told, and its key kept."""

import logging
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tasks.candidates.materials_project import MaterialsProjectQuery, MaterialsProjectSource
from tasks.candidates.materials_project_client import (
    ApiKeyError,
    MaterialsProjectError,
    Patience,
)
from tasks.candidates.materials_project_session import retry_after_s
from tests.servers.materials_project import KEY

QUERY = MaterialsProjectQuery(kind="materials", elements=("Li",), e_above_hull_max_ev=None)
PAGE = 10
PASSING = {"attempts": 4, "first_wait_s": 1.0, "longest_wait_s": 3.0, "longest_retry_after_s": 30.0}


@pytest.fixture
def waits():
    return []


@pytest.fixture
def source(mp_server, waits):
    patience = Patience(**PASSING, timeout_s=20.0)
    return MaterialsProjectSource(QUERY, page=PAGE, chunk=PAGE, patience=patience, sleep=waits.append)


def names(source):
    return [entry.entry_id for page in source.index() for entry in page.entries]


def pages_asked(server):
    return [int(one.params["_page"]) for one in server.made("summary")]


def told(caught):
    """Everything that an error says, its chain and traceback included."""
    chain = [caught.value]
    while chain[-1].__context__ is not None or chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__ or chain[-1].__context__)
    return "".join(traceback.format_exception(caught.value)) + "".join(map(repr, chain))


def drawn_below(waits, longest_s):
    """Whether each wait is drawn between half of what it may be and all of it."""
    return len(waits) == len(longest_s) and all(
        most / 2 <= wait <= most for wait, most in zip(waits, longest_s, strict=True)
    )


FAULTS = {
    "429": lambda f, **more: f.fail(429, **more),
    "500": lambda f, **more: f.fail(500, **more),
    "502": lambda f, **more: f.fail(502, **more),
    "503": lambda f, **more: f.fail(503, **more),
    "504": lambda f, **more: f.fail(504, **more),
    "cut": lambda f, **more: f.cut(**more),
    "truncated": lambda f, **more: f.truncate(**more),
    "html": lambda f, **more: f.html(**more),
    "no data": lambda f, **more: f.no_data(**more),
    "short": lambda f, **more: f.short(2, **more),
    "overlap": lambda f, **more: f.overlap(2, **more),
}
SAID = {
    "429": "429", "500": "500", "502": "502", "503": "503", "504": "504", "cut": "connection failed",
    "truncated": "breaks off", "html": "web page", "no data": "data", "short": "are due",
    "overlap": "repeats 2 documents",
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_what_passes_is_waited_out_and_the_index_is_whole(mp_server, source, waits, fault):
    expected = names(source)
    assert len(expected) > 3 * PAGE
    mp_server.forget()
    FAULTS[fault](mp_server.faults, page="last", times=3)
    assert names(source) == expected
    assert drawn_below(waits, [1.0, 2.0, 3.0])
    # The last page alone was asked for again.
    last = -(-len(expected) // PAGE)
    assert pages_asked(mp_server) == [*range(1, last + 1), last, last, last]


@pytest.mark.parametrize("fault", FAULTS)
def test_what_stays_ends_in_an_error_that_says_the_page(mp_server, source, waits, fault, caplog):
    FAULTS[fault](mp_server.faults, page=2, times=None)
    with caplog.at_level(logging.DEBUG), pytest.raises(MaterialsProjectError, match="page 3 of 5") as caught:
        names(source)
    assert len(waits) == PASSING["attempts"] - 1
    assert SAID[fault] in str(caught.value)
    assert "try again later" in str(caught.value)
    assert KEY not in told(caught) + caplog.text
    assert caught.value.__context__ is caught.value.__cause__ is None


@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "overlap"])
def test_faults_while_fetching_are_waited_out(mp_server, source, fault):
    some = names(source)[:8]
    FAULTS[fault](mp_server.faults, times=2)
    fetched = source.fetch(some)
    assert [entry.entry_id for entry in fetched.entries] == some
    assert fetched.vanished == fetched.quarantined == ()


def test_a_short_answer_is_not_taken_for_vanished_materials(mp_server, source):
    some = names(source)[:8]
    mp_server.faults.short(2, times=None)
    with pytest.raises(MaterialsProjectError, match="6 documents where 8 are due"):
        source.fetch(some)


@pytest.mark.parametrize(("asked", "waited"), [(7, 7.0), (100_000, 30.0), (0, 0.0)])
def test_retry_after_is_heeded_within_bounds(mp_server, source, waits, asked, waited):
    mp_server.faults.fail(429, retry_after=asked)
    assert names(source)
    assert waits == [waited]


def test_a_retry_after_that_says_nothing_is_not_heeded(mp_server, source, waits):
    mp_server.faults.fail(429, retry_after="soon")
    assert names(source)
    assert drawn_below(waits, [1.0])


def test_retry_after_as_a_date(mp_server, source, waits):
    date = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
    mp_server.faults.fail(503, retry_after=date)
    assert names(source)
    assert waits == [30.0]
    past = format_datetime(datetime.now(UTC) - timedelta(hours=2), usegmt=True)
    assert retry_after_s(past) == 0.0
    assert retry_after_s(None) is retry_after_s("inf") is retry_after_s("-") is None


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_not_tried_again_and_not_told(mp_server, source, waits, status, caplog):
    mp_server.faults.fail(status, times=None)
    with caplog.at_level(logging.DEBUG), pytest.raises(ApiKeyError, match=f"refused.*{status}") as caught:
        names(source)
    assert waits == []
    assert mp_server.count() == 1
    assert "https://" in str(caught.value)
    assert "LIHOP_MP_API_KEY" in str(caught.value)
    assert KEY not in told(caught) + caplog.text


def test_a_wrong_key_is_refused_by_the_server_and_not_told(mp_server, source, monkeypatch, caplog):
    wrong = "Z" * 32
    monkeypatch.setenv("LIHOP_MP_API_KEY", wrong)
    with caplog.at_level(logging.DEBUG), pytest.raises(ApiKeyError, match="401") as caught:
        names(source)
    assert wrong not in told(caught) + caplog.text + repr(source) + repr(vars(source))


@pytest.mark.parametrize("status", [400, 404, 301])
def test_what_does_not_pass_is_not_tried_again(mp_server, source, waits, status):
    mp_server.faults.fail(status, times=None)
    with pytest.raises(MaterialsProjectError, match=f"{status}.*does not change"):
        names(source)
    assert waits == []


def test_a_request_that_is_too_long_is_halved(mp_server, source):
    some = names(source)[:8]
    mp_server.forget()
    mp_server.faults.fail(414, times=1)
    assert [entry.entry_id for entry in source.fetch(some).entries] == some
    assert [len(one.params["material_ids"].split(",")) for one in mp_server.made("summary")] == [8, 4, 4]


@pytest.mark.parametrize("path", ["summary", "heartbeat"])
def test_a_server_that_hangs_is_given_up_in_time(mp_server, waits, path):
    patience = Patience(attempts=2, timeout_s=0.3)
    source = MaterialsProjectSource(QUERY, patience=patience, sleep=waits.append)
    source.fetch([])
    mp_server.faults.hang(30.0, times=None, path=path)
    ask = source.version if path == "heartbeat" else lambda: names(source)
    with pytest.raises(MaterialsProjectError, match=r"no answer within 0.3 s, 2 times"):
        ask()
    mp_server.faults.clear()
    assert source.version() == mp_server.world.db_version


def test_a_server_that_hangs_between_two_heartbeats_is_given_up_in_time(mp_server, waits):
    # The first is ours; the second is the client's own, which knows no timeout.
    patience = Patience(attempts=1, timeout_s=1.0)
    source = MaterialsProjectSource(QUERY, patience=patience, sleep=waits.append)
    mp_server.faults.hang(30.0, times=None, path="heartbeat", after=1)
    with pytest.raises(MaterialsProjectError, match="no answer within 1 s"):
        names(source)


@pytest.mark.parametrize("fault", ["500", "cut", "truncated", "html"])
def test_heartbeats_are_asked_for_again(mp_server, source, waits, fault):
    FAULTS[fault](mp_server.faults, path="heartbeat", times=2)
    assert source.version() == mp_server.world.db_version
    assert drawn_below(waits, [1.0, 2.0])


def test_a_server_that_is_not_there(source, waits, monkeypatch):
    monkeypatch.setenv("LIHOP_MP_ENDPOINT", "http://127.0.0.1:9/")
    with pytest.raises(MaterialsProjectError, match="connection failed") as caught:
        source.version()
    assert len(waits) == PASSING["attempts"] - 1
    assert KEY not in told(caught)


def test_the_version_is_the_servers_word_of_now(mp_server, source):
    before = source.version()
    assert names(source)
    mp_server.world.release()
    assert source.version() == mp_server.world.db_version != before


def test_the_index_begins_again_when_the_number_of_documents_moves(mp_server, source):
    mp_server.faults.then(lambda: mp_server.world.add(7), after=2)
    found = names(source)
    assert len(found) == len(set(found)) == len(names(source))
    mp_server.faults.clear()
    for k in range(3):
        mp_server.faults.then(lambda: mp_server.world.add(7), after=2 + 3 * k)
    with pytest.raises(MaterialsProjectError, match="being changed"):
        names(source)
