"""Whether the Materials Project's key and endpoint are taken with care, and odd servers are seen through."""

import json
import logging
import threading
import time
import traceback
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tasks.candidates.materials_project import MaterialsProjectQuery, MaterialsProjectSource
from tasks.candidates.materials_project_client import (
    ApiKeyError,
    MaterialsProjectError,
    Patience,
    read_api_key,
    read_endpoint,
)
from tests.servers.materials_project import KEY

QUERY = MaterialsProjectQuery(kind="materials", elements=("Li",), e_above_hull_max_ev=None)


@pytest.fixture
def waits():
    return []


def names(source):
    return [entry.entry_id for page in source.index() for entry in page.entries]


def told(caught):
    """Everything that an error says, its chain and traceback included."""
    chain = [caught.value]
    while chain[-1].__context__ is not None or chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__ or chain[-1].__context__)
    return "".join(traceback.format_exception(caught.value)) + "".join(map(repr, chain))


def test_the_key_is_taken_from_the_first_variable_that_holds_one(monkeypatch):
    keys = {"LIHOP_MP_API_KEY": "a" * 32, "MP_API_KEY": "b" * 32, "PMG_MAPI_KEY": "c" * 32}
    for name, key in keys.items():
        monkeypatch.setenv(name, f" {key}\n")
    for name, key in keys.items():
        assert read_api_key() == key
        monkeypatch.delenv(name)


def test_a_missing_key_says_how_to_get_one(mp_server, monkeypatch):
    from pymatgen.core import SETTINGS

    monkeypatch.delenv("LIHOP_MP_API_KEY")
    monkeypatch.delitem(SETTINGS, "PMG_MAPI_KEY", raising=False)
    source = MaterialsProjectSource(QUERY)
    for ask in (source.version, lambda: names(source), lambda: source.fetch(["mp-22526"])):
        with pytest.raises(ApiKeyError, match=r"materialsproject\.org") as caught:
            ask()
        for name in ("LIHOP_MP_API_KEY", "MP_API_KEY", "PMG_MAPI_KEY"):
            assert name in str(caught.value)
    assert mp_server.count() == 0


@pytest.mark.parametrize(
    "key", ["q" * 31, "q" * 33, "q" * 16, "q" * 31 + "\u00e9", "q" * 16 + "\n" + "q" * 15]
)
def test_a_key_that_can_be_none_is_refused_unsent_and_not_told(mp_server, monkeypatch, key):
    monkeypatch.setenv("LIHOP_MP_API_KEY", key)
    with pytest.raises(ApiKeyError, match=f"LIHOP_MP_API_KEY holds {len(key)} characters.*32") as caught:
        names(MaterialsProjectSource(QUERY))
    assert "qqqq" not in told(caught)
    frame = caught.tb
    while frame is not None:
        ours = not frame.tb_frame.f_code.co_name.startswith("test_")
        assert not (ours and any(key in str(value) for value in frame.tb_frame.f_locals.values()))
        frame = frame.tb_next
    assert mp_server.count() == 0


HEARTBEAT = b'{"version": "0.86.3", "db_version": "1", "access_controlled_batch_ids": []}'


@contextmanager
def answering(monkeypatch, answer):
    """Serve heartbeats, and for documents what a function of the handler sends; yield the keys seen."""
    keys = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/heartbeat":
                send(self, 200, HEARTBEAT)
            else:
                keys.append(self.headers.get("x-api-key"))
                answer(self)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("LIHOP_MP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("LIHOP_MP_API_KEY", KEY)
    try:
        yield keys
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def send(handler, status, body, length=None, **headers):
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


@pytest.mark.parametrize("before", ["", "x" * 165, "x" * 370])
def test_a_key_that_a_server_repeats_is_not_told(monkeypatch, waits, caplog, before):
    def answer(handler):
        said = f"{before}bad request by {handler.headers['x-api-key']}"
        send(handler, 400, json.dumps({"detail": said}).encode())

    with answering(monkeypatch, answer) as keys:
        source = MaterialsProjectSource(QUERY, sleep=waits.append)
        with caplog.at_level(logging.DEBUG), pytest.raises(MaterialsProjectError) as caught:
            names(source)
    assert keys == [KEY]
    assert "bad request by" in str(caught.value)
    # Nor a part of it, where what the server says is cut.
    assert KEY[:6] not in told(caught) + caplog.text


@pytest.mark.parametrize("said", [KEY, "".join(f"\\u{ord(letter):04x}" for letter in KEY)])
def test_an_answer_that_repeats_the_key_is_refused(monkeypatch, waits, caplog, said):
    body = f'{{"data": [{{"material_id": "{said}"}}], "meta": {{"total_doc": 1}}}}'.encode()
    with answering(monkeypatch, lambda handler: send(handler, 200, body)) as keys:
        source = MaterialsProjectSource(QUERY, sleep=waits.append)
        with caplog.at_level(logging.DEBUG), pytest.raises(MaterialsProjectError, match="repeats") as caught:
            names(source)
    assert keys == [KEY]
    assert KEY[:6] not in told(caught) + caplog.text


def test_an_answer_that_stalls_is_given_up_in_time(monkeypatch, waits):
    over = threading.Event()

    def answer(handler):
        send(handler, 200, b'{"data": [', length=1000)
        handler.wfile.flush()
        over.wait(20.0)

    with answering(monkeypatch, answer):
        patience = Patience(attempts=2, timeout_s=0.3)
        source = MaterialsProjectSource(QUERY, patience=patience, sleep=waits.append)
        with pytest.raises(MaterialsProjectError, match=r"no answer within 0.3 s, 2 times"):
            names(source)
        over.set()


def test_a_redirect_is_not_followed_with_the_key(monkeypatch, waits):
    def answer(handler):
        send(handler, 302, b"{}", Location="/elsewhere")

    source = MaterialsProjectSource(QUERY, sleep=waits.append)
    said = r"302.*does not change"
    with answering(monkeypatch, answer) as keys, pytest.raises(MaterialsProjectError, match=said):
        names(source)
    assert keys == [KEY]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"data": []}', "how many documents"),
        (b'{"data": [], "meta": {"total_doc": "7"}}', "how many documents"),
        (b'{"data": {}, "meta": {"total_doc": 1}}', "without its list"),
        (b"[]", "JSON that is a list"),
        (b"", "breaks off"),
        (b'{"data": ["x", 3], "meta": {"total_doc": 3}}', "2 documents where 3 are due"),
    ],
)
def test_answers_that_do_not_add_up(monkeypatch, waits, body, said):
    with answering(monkeypatch, lambda handler: send(handler, 200, body)):
        source = MaterialsProjectSource(QUERY, sleep=waits.append)
        with pytest.raises(MaterialsProjectError, match=said):
            names(source)


def test_documents_that_are_no_objects_are_quarantined(monkeypatch, waits):
    body = b'{"data": ["x", 3, null], "meta": {"total_doc": 3}}'
    with answering(monkeypatch, lambda handler: send(handler, 200, body)):
        for kind in ("oxides", "electrodes"):
            source = MaterialsProjectSource(MaterialsProjectQuery(kind=kind), sleep=waits.append)
            pages = list(source.index())
            assert len([bad for page in pages for bad in page.quarantined]) == 3
            assert not any(page.entries for page in pages)


def test_pymatgens_settings_hold_a_key_too(monkeypatch):
    from pymatgen.core import SETTINGS

    for name in ("LIHOP_MP_API_KEY", "MP_API_KEY", "PMG_MAPI_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(SETTINGS, "PMG_MAPI_KEY", "d" * 32)
    assert read_api_key() == "d" * 32


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("", ""),
        ("https://mp.example.org/api", "https://mp.example.org/api/"),
        ("http://localhost:8000/", "http://localhost:8000/"),
    ],
)
def test_endpoints_that_are_used(monkeypatch, given, found):
    monkeypatch.setenv("LIHOP_MP_ENDPOINT", given)
    assert read_endpoint() == found


@pytest.mark.parametrize(
    "given",
    ["http://mp.example.org/", "ftp://localhost/", "mp.example.org", "https://u:secret@mp.example.org/"],
)
def test_endpoints_where_the_key_would_be_seen_are_refused(monkeypatch, given):
    monkeypatch.setenv("LIHOP_MP_ENDPOINT", given)
    with pytest.raises(MaterialsProjectError, match="LIHOP_MP_ENDPOINT") as caught:
        read_endpoint()
    assert "secret" not in str(caught.value)


def test_waits_double_up_to_a_bound():
    patience = Patience(first_wait_s=1.0, longest_wait_s=5.0, longest_retry_after_s=9.0)
    for attempt, longest_s in enumerate([1.0, 2.0, 4.0, 5.0, 5.0], start=1):
        drawn = [patience.wait_s(attempt, None) for _ in range(200)]
        assert longest_s / 2 <= min(drawn) < max(drawn) <= longest_s
        # Clients that were turned away together do not come back together.
        assert max(drawn) - min(drawn) > longest_s / 4
    assert [patience.wait_s(1, asked) for asked in (0.0, 4.0, 1e9)] == [0.0, 4.0, 9.0]
    assert MaterialsProjectSource(QUERY)._sleep is time.sleep
