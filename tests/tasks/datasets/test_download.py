"""Downloads from a server on this machine: broken off, resumed, wrong, missing; never the internet."""

from __future__ import annotations

import hashlib
import socket

import pytest

from tasks.datasets.download import get_file
from tasks.datasets.errors import DownloadError
from tests.tasks.datasets.servers import serving

BODY = bytes(range(256)) * 2000
SUM = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def get(tmp_path, monkeypatch):
    """Fetch `data.bin` from an address into a folder, without pauses and without a proxy."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def run(source, **named):
        return get_file(source, tmp_path / "here" / "data.bin", **{"sha256": SUM, "pause_s": 0.0, **named})

    run.target = tmp_path / "here" / "data.bin"
    run.part = tmp_path / "here" / ".data.bin.part"
    return run


def leftovers(get):
    return sorted(path.name for path in get.target.parent.iterdir())


def test_a_file_comes_whole_and_is_checked(get):
    told = []
    with serving({"data.bin": BODY}) as shelf:
        assert get(f"{shelf.address}/data.bin", on_progress=lambda done, total: told.append((done, total)))
    assert get.target.read_bytes() == BODY
    assert leftovers(get) == ["data.bin"]
    assert told[-1] == (len(BODY), len(BODY))


def test_a_file_that_is_here_is_not_asked_for(get):
    with serving({"data.bin": BODY}) as shelf:
        get(f"{shelf.address}/data.bin")
        assert get(f"{shelf.address}/data.bin") is False
        assert len(shelf.asked) == 1


def test_what_broke_off_is_gone_on_with(get):
    with serving({"data.bin": BODY}, cut_at=[100_000, 50_000]) as shelf:
        assert get(f"{shelf.address}/data.bin")
        # What the server wrote last may be lost on the way.
        starts = [int(asked.removeprefix("bytes=").rstrip("-")) for _, asked in shelf.asked[1:]]
    assert get.target.read_bytes() == BODY
    assert len(starts) == 2
    assert 0 < starts[0] <= 100_000
    assert starts[0] < starts[1] <= 150_000


def test_another_process_goes_on_where_one_was_killed(get):
    get.part.parent.mkdir(parents=True)
    get.part.write_bytes(BODY[:70_000])
    with serving({"data.bin": BODY}) as shelf:
        assert get(f"{shelf.address}/data.bin")
        assert shelf.asked == [("/data.bin", "bytes=70000-")]
    assert get.target.read_bytes() == BODY


def test_a_part_that_is_already_all_of_it(get):
    get.part.parent.mkdir(parents=True)
    get.part.write_bytes(BODY)
    with serving({"data.bin": BODY}) as shelf:
        assert get(f"{shelf.address}/data.bin")
    assert get.target.read_bytes() == BODY


@pytest.mark.parametrize("size", [70_000, 600_000])
def test_a_part_of_another_file_is_dropped(get, size):
    get.part.parent.mkdir(parents=True)
    get.part.write_bytes(b"\1" * size)
    with serving({"data.bin": BODY}) as shelf:
        assert get(f"{shelf.address}/data.bin")
        assert shelf.asked[-1] == ("/data.bin", None)
    assert get.target.read_bytes() == BODY


def test_a_server_that_knows_no_parts(get):
    get.part.parent.mkdir(parents=True)
    get.part.write_bytes(BODY[:70_000])
    with serving({"data.bin": BODY}, ranges=False) as shelf:
        assert get(f"{shelf.address}/data.bin")
    assert get.target.read_bytes() == BODY


def test_another_content_is_refused_and_nothing_is_kept(get):
    with serving({"data.bin": BODY[:-1] + b"?"}) as shelf:
        with pytest.raises(DownloadError, match="checksum"):
            get(f"{shelf.address}/data.bin")
        assert len(shelf.asked) == 1
    assert not get.target.parent.exists()


def test_a_file_that_is_not_there(get):
    with serving({}) as shelf:
        with pytest.raises(DownloadError, match=r"404.*--from"):
            get(f"{shelf.address}/data.bin")
        assert len(shelf.asked) == 1
    assert not get.target.parent.exists()


def test_a_server_that_is_busy_is_asked_again(get):
    with serving({"data.bin": BODY}, statuses=[503, 500]) as shelf:
        assert get(f"{shelf.address}/data.bin")
        assert len(shelf.asked) == 3


def test_no_network_keeps_what_there_is(get):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    get.part.parent.mkdir(parents=True)
    get.part.write_bytes(BODY[:70_000])
    with pytest.raises(DownloadError, match=r"cannot be had.*--from"):
        get(f"http://127.0.0.1:{port}/data.bin")
    assert get.part.read_bytes() == BODY[:70_000]
    assert not get.target.exists()


def test_an_edited_file_stays_unless_forced(get):
    get.target.parent.mkdir(parents=True)
    get.target.write_bytes(b"mine")
    with serving({"data.bin": BODY}) as shelf:
        with pytest.raises(DownloadError, match="--force"):
            get(f"{shelf.address}/data.bin")
        assert get.target.read_bytes() == b"mine"
        assert shelf.asked == []
        assert get(f"{shelf.address}/data.bin", force=True)
    assert get.target.read_bytes() == BODY


def test_a_forced_download_that_fails_leaves_the_edited_file(get):
    get.target.parent.mkdir(parents=True)
    get.target.write_bytes(b"mine")
    with serving({"data.bin": b"other"}) as shelf, pytest.raises(DownloadError, match="checksum"):
        get(f"{shelf.address}/data.bin", force=True)
    assert get.target.read_bytes() == b"mine"


def test_files_of_this_machine(get, tmp_path):
    (tmp_path / "given.bin").write_bytes(BODY)
    assert get(str(tmp_path / "given.bin"))
    assert get.target.read_bytes() == BODY
    with pytest.raises(DownloadError, match="cannot be read"):
        get(str(tmp_path / "none.bin"), force=True)
    assert get.target.read_bytes() == BODY


@pytest.mark.parametrize("address", ["http://example.org/data.bin", "ftp://127.0.0.1/data.bin"])
def test_plain_addresses_of_others_are_refused(get, address):
    with pytest.raises(DownloadError, match="https"):
        get(address)


def test_a_redirect_on_this_machine_is_followed(get):
    with serving({"data.bin": BODY}) as shelf:
        shelf.redirects["/moved.bin"] = f"{shelf.address}/data.bin"
        assert get(f"{shelf.address}/moved.bin")
    assert get.target.read_bytes() == BODY


@pytest.mark.parametrize("hops", [1, 2])
def test_a_redirect_to_a_plain_address_is_refused_before_it_is_asked(get, monkeypatch, hops):
    """The other name is of this machine too, so that it would answer."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,0.0.0.0")
    with serving({"data.bin": BODY}) as shelf:
        plain = shelf.address.replace("127.0.0.1", "0.0.0.0")
        shelf.redirects["/hop-1"] = f"{plain}/data.bin"
        shelf.redirects["/hop-2"] = "/hop-1"
        with pytest.raises(DownloadError, match=r"redirects to http://0\.0\.0\.0.*only https"):
            get(f"{shelf.address}/hop-{hops}", sha256="")
        assert [path for path, _ in shelf.asked] == ["/hop-2", "/hop-1"][2 - hops :]
    assert not get.target.parent.exists()
