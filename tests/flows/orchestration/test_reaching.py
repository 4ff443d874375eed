"""Why a server cannot be talked to is said without a password."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading

import httpx
import pytest

from flows.orchestration.reaching import unreachable, without_password
from tests.servers.workstation import environment

SECRET = "correct-horse"


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("http://127.0.0.1:4200/api", "http://127.0.0.1:4200/api"),
        (f"https://lihop:{SECRET}@host/api", "https://host/api"),
        (f"https://lihop:{SECRET}@x@host:1/a@b", "https://host:1/a@b"),
        (f"https://lihop:{SECRET}@host", "https://host"),
        ("nonsense", "nonsense"),
    ],
)
def test_a_url_is_told_without_its_password(url, public):
    assert without_password(url) == public


def test_an_error_that_quotes_the_url_is_told_without_it_too():
    api = f"http://lihop:{SECRET}@127.0.0.1:1/api"
    told = str(unreachable(api, httpx.ConnectError(f"nobody at {api}\nmore")))
    assert SECRET not in told
    assert "nobody at http://127.0.0.1:1/api. Start it" in told


def test_an_error_without_words_is_told_by_its_kind():
    assert "ReadTimeout" in str(unreachable("http://127.0.0.1:1/api", httpx.ReadTimeout("")))


class _Refuses(http.server.BaseHTTPRequestHandler):
    """A server that lets nobody in."""

    def do_GET(self):
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        return


def test_deploying_with_a_wrong_password_says_what_to_set(tmp_path):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Refuses) as refusing:
        threading.Thread(target=refusing.serve_forever, daemon=True).start()
        api = f"http://127.0.0.1:{refusing.server_address[1]}/api"
        done = subprocess.run(
            [sys.executable, "-m", "flows.cli.main", "deploy"], capture_output=True, text=True, check=False,
            cwd=tmp_path,
            env=environment(tmp_path)
            | {"PREFECT_API_URL": api, "PREFECT_API_AUTH_STRING": f"lihop:{SECRET}"},
        )  # fmt: skip
        refusing.shutdown()
    assert done.returncode == 2
    assert f"the Prefect server at {api} refused the password" in done.stderr
    assert "PREFECT_API_AUTH_STRING" in done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert done.stderr.count("\n") == 1
