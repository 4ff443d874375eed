"""What `lihop serve` and `lihop deploy` refuse, and how serving ends; no server is started for it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling, Pending, Running

from flows.orchestration.processes import Kept
from flows.orchestration.serving import _ended, _stop, _until_told_to_end
from tests.servers.workstation import environment, free_port


def _lihop(home, *arguments):
    command = [sys.executable, "-m", "flows.cli.main", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment(home), cwd=home
    )


def test_a_taken_port_is_refused(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = _lihop(tmp_path, "serve", "--port", port)
    assert done.returncode == 2
    assert f"port {port} of 127.0.0.1 cannot be used" in done.stderr
    assert "--port" in done.stderr
    assert done.stderr.count("\n") == 1


def test_deploying_nowhere_says_what_to_do(tmp_path):
    done = _lihop(tmp_path, "deploy")
    assert done.returncode == 2
    assert "no Prefect server is set up" in done.stderr
    assert "lihop serve" in done.stderr


def test_deploying_to_a_server_that_is_not_there_says_so(tmp_path, monkeypatch):
    api = f"http://127.0.0.1:{free_port()}/api"
    command = [sys.executable, "-m", "flows.cli.main", "deploy"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path,
        env=environment(tmp_path) | {"PREFECT_API_URL": api, "PREFECT_CLIENT_MAX_RETRIES": "0"},
    )  # fmt: skip
    assert done.returncode == 2
    assert f"the Prefect server at {api} does not answer" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.fixture
def hup():
    """Return a function that sets what becomes of SIGHUP; it is as before when the test ends."""
    before = signal.getsignal(signal.SIGHUP)
    yield lambda handler: signal.signal(signal.SIGHUP, handler)
    signal.signal(signal.SIGHUP, before)


def test_a_closed_terminal_is_a_reason_to_end(hup):
    hup(signal.SIG_DFL)
    with _until_told_to_end() as end:
        os.kill(os.getpid(), signal.SIGHUP)
        assert end.wait(10)
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL


def test_what_is_to_outlive_its_terminal_does(hup):
    """As under `nohup`."""
    hup(signal.SIG_IGN)
    with _until_told_to_end() as end:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
        assert end.wait(10)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def _waiting(name, folder):
    """Return a process that waits to be ended, and runs."""
    one = Kept(name, [sys.executable, "-c", "import time; time.sleep(600)"], os.environ, folder / name)
    one.start()
    return one


def test_a_server_that_does_not_answer_is_stopped_all_the_same(tmp_path):
    """It may just have been started again."""
    server, worker = _waiting("server", tmp_path), _waiting("worker", tmp_path)
    told = []
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{free_port()}/api"}):
        _stop(server, [worker], told.append)
    assert not server.is_running()
    assert not worker.is_running()
    (line,) = told
    assert "the Prefect server did not answer when it was stopped (ConnectError)" in line
    assert "found as crashed after the next start" in line


def test_a_server_is_stopped_whatever_happens_before(tmp_path, monkeypatch):
    server, worker = _waiting("server", tmp_path), _waiting("worker", tmp_path)
    monkeypatch.setattr("flows.orchestration.serving._give_up_runs", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        _stop(server, [worker], print)
    assert not server.is_running()


def test_what_somebody_cancelled_is_cancelled_and_the_rest_has_crashed():
    for state in (Running(), Pending()):
        assert _ended(state).is_crashed()
        assert "Retry" in _ended(state).message
    assert _ended(Cancelling()).is_cancelled()
