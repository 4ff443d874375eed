"""Runners: the same tables on each, and one lethal material costs no other its result."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from uuid import uuid4

import pytest
from distributed import Nanny

from flows.campaign import screen
from flows.orchestration.errors import OrchestrationError
from flows.parameters import ScreenParameters
from flows.running import pools
from flows.running.on_dask import DaskPool
from flows.running.on_ray import RayPool
from flows.running.pools import MissingRunnerError, pool_of
from flows.running.processes import BatchPool
from flows.running.steps import PoolClosedError, WorkerLostError
from flows.running.threads import ThreadPool
from storage import queries
from tests.campaigns import GOOD, Bench, assert_same, write_cif, write_good
from tests.children import die, double
from tests.processes import descendants, until, with_variable
from tests.servers.workstation import free_port

CLUSTERS = ("dask", "ray")
TOKEN = "0123456789abcdef" * 4
ROOT = Path(__file__).resolve().parents[2]
LISTENS = """
import sys
from importlib import import_module
import psutil
from tests.children import double

if __name__ == "__main__":
    module, pool = sys.argv[1:]
    with getattr(import_module(module), pool)(1) as pool:
        assert pool.run(double, 2) == 4
        me = psutil.Process()
        for one in [me, *me.children(recursive=True)]:
            for socket in one.net_connections("inet"):
                if socket.status == psutil.CONN_LISTEN:
                    print(socket.laddr.ip)
"""
SCREEN = """
import sys
from flows import collecting
from flows.campaign import screen
from flows.parameters import ScreenParameters
from tests.children import LethalSource

parameters, lethal = sys.argv[1:]
if lethal:
    collecting.make_source = lambda asked: LethalSource(asked.path)
screen(ScreenParameters.model_validate_json(parameters))
"""
FLOW = """
import sys
from flows.prefect_environment import prepare_prefect, wake_prefect

prepare_prefect()
wake_prefect()
from flows.parameters import ScreenParameters
from flows.screen import screen_cathodes

screen_cathodes(ScreenParameters.model_validate_json(sys.argv[1]))
"""

ENDED = """
import signal, sys, threading, time
from pathlib import Path
import psutil
import ray
from flows.running.on_ray import RayPool
from tests.children import be_at_work

def ask():
    try:
        pool.run(be_at_work, sys.argv[1])
    except BaseException as error:
        raised.append(type(error).__name__)

def left_to_ray():
    _, alive = psutil.wait_procs(started, 20)
    for one in alive:
        if one.status() != psutil.STATUS_ZOMBIE:
            left.append(one.name())
            # Or Ray would wait for it without end.
            one.kill()
    shutdown()

if __name__ == "__main__":
    raised, left, shutdown = [], [], ray.shutdown
    pool = RayPool(1)
    asking = threading.Thread(target=ask)
    asking.start()
    while not Path(sys.argv[1]).exists():
        time.sleep(0.02)
    started = psutil.Process().children(recursive=True)
    names = {Path(one.cmdline()[0]).name for one in started}
    ray.shutdown = left_to_ray
    for one in started:
        one.send_signal(signal.SIGSTOP)
    ended = KeyboardInterrupt()
    pool.__exit__(type(ended), ended, None)
    asking.join()
    print(names >= {"raylet", "ray::_made"} or names, left, raised)
"""


@pytest.fixture(scope="module")
def reference(tmp_path_factory, checkpoint):
    """The tables that a screening of the reference structures gives on the default runner."""
    bench = Bench(tmp_path_factory.mktemp("process"), checkpoint)
    screen(asked(bench))
    return bench.tables()


def asked(bench, **changes):
    return bench.parameters(
        source="reference", path=None, limit=6, batch_size=2, workers=2, paths="straight", **changes
    )


@contextmanager
def dask_cluster(folder):
    """Start a scheduler and a worker as people do, each a process; yield the scheduler's address."""
    address = f"tcp://127.0.0.1:{free_port()}"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    scheduler = ["scheduler", "--host", address, "--no-dashboard"]
    worker = ["worker", address, "--nthreads", "1", "--no-dashboard", "--local-directory", str(folder)]
    started = []
    try:
        for arguments in (scheduler, worker):
            command = [sys.executable, "-m", "distributed.cli.dask_" + arguments[0], *arguments[1:]]
            started.append(subprocess.Popen(command, env=environment, cwd=folder, stderr=subprocess.DEVNULL))
        yield address
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(60)


@contextmanager
def ray_cluster(folder):
    """Start a head as people do, which listens to this machine alone; yield its address.

    Ray looks for the token in the home folder, and does not end with the process that started it.
    """
    port, run = free_port(), uuid4().hex
    environment = os.environ | {"PYTHONPATH": str(ROOT), "LIHOP_TESTS_RUN": run}
    environment |= {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
    }
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus", "2"]
    command += ["--node-ip-address", "127.0.0.1", "--port", str(port), "--disable-usage-stats"]
    # Any free ports: those that it else would take lie where the others' may be.
    command += ["--min-worker-port", "0", "--max-worker-port", "0", "--dashboard-agent-listen-port", "0"]
    command += ["--include-dashboard", "false"]
    log = folder / "ray.log"
    with log.open("wb") as told:
        head = subprocess.Popen(
            command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=told, stderr=told
        )
    try:
        until(lambda: "Ray runtime started" in log.read_text() or head.poll() is not None)
        assert head.poll() is None, log.read_text()
        yield f"127.0.0.1:{port}"
    finally:
        head.terminate()
        with suppress(subprocess.TimeoutExpired):
            head.wait(60)
        for left in with_variable("LIHOP_TESTS_RUN", run):
            with suppress(ProcessLookupError):
                os.kill(left, signal.SIGKILL)


def gone(pids):
    """Wait until these processes have ended."""
    until(lambda: not pids & descendants(os.getpid()))
    return True


def test_threads_give_the_same_tables(bench, reference):
    screen(asked(bench, runner="thread"))
    assert_same(bench.tables(), reference)


def screened(parameters, *, lethal=False, script=SCREEN, **variables):
    """Screen in a process of its own, which a cluster's driver may end; wait until all of it has ended."""
    run = uuid4().hex
    environment = os.environ | variables | {"PYTHONPATH": str(ROOT), "LIHOP_TESTS_RUN": run}
    given = [parameters.model_dump_json(), "lethal" if lethal else ""]
    done = subprocess.run(
        [sys.executable, "-c", script, *given],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    until(lambda: not with_variable("LIHOP_TESTS_RUN", run))


@pytest.mark.slow
@pytest.mark.parametrize("runner", CLUSTERS)
def test_a_cluster_of_its_own_gives_the_same_tables(bench, reference, runner):
    screened(asked(bench, runner=runner))
    assert_same(bench.tables(), reference)


@pytest.mark.slow
@pytest.mark.parametrize("runner", CLUSTERS)
def test_so_does_a_flow_on_it(bench, reference, runner, tmp_path):
    screened(asked(bench, runner=runner), script=FLOW, PREFECT_HOME=str(tmp_path / "home"))
    assert_same(bench.tables(), reference)


def heard_by(kind, folder):
    """Compute on a cluster of our own, in a process of its own; return the addresses that it listens to."""
    script = folder / "listens.py"
    script.write_text(LISTENS)
    done = subprocess.run(
        [sys.executable, script, kind.__module__, kind.__name__],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    return [ip_address(line.removeprefix("::ffff:")) for line in done.stdout.splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [DaskPool, RayPool])
def test_a_cluster_of_its_own_listens_to_this_machine_alone(kind, tmp_path):
    heard = heard_by(kind, tmp_path)
    assert heard
    assert [ip for ip in heard if not ip.is_loopback] == []


@pytest.mark.slow
def test_a_scheduler_that_is_there_gives_the_same_tables(bench, reference, tmp_path):
    with dask_cluster(tmp_path) as address:
        screen(asked(bench, runner="dask", scheduler=address))
    assert_same(bench.tables(), reference)


@pytest.mark.slow
def test_a_ray_cluster_that_is_there_gives_the_same_tables(bench, reference, tmp_path, monkeypatch):
    with ray_cluster(tmp_path) as address:
        # Ray would join the one that is there.
        assert heard_by(RayPool, tmp_path)
        parameters = asked(bench, runner="ray", scheduler=address)
        monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        monkeypatch.setenv("RAY_AUTH_MODE", "token")
        monkeypatch.setenv("RAY_AUTH_TOKEN", "f" * 64)
        with pytest.raises(
            AssertionError,
            match=rf"no Ray cluster takes work at {address}: Failed to connect.* RAY_AUTH_TOKEN",
        ):
            screened(parameters)
        monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
        screened(parameters)
    assert_same(bench.tables(), reference)


@pytest.mark.slow
@pytest.mark.parametrize("runner", CLUSTERS)
def test_a_lethal_file_costs_no_other_its_result(bench, runner):
    write_good(bench.folder)
    write_cif(GOOD["lif.cif"], bench.folder / "lethal.cif")
    screened(bench.parameters(batch_size=2, workers=2, paths="straight", runner=runner), lethal=True)
    assert bench.reasons() == {"lethal.cif": "worker_lost"}
    assert len(bench.rankings()) == len(GOOD)
    (row,) = queries.failures(bench.database)
    assert "died twice" in row["message"]


@pytest.mark.slow
def test_a_dask_pool_does_as_the_pool_of_processes_does(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    before = descendants(os.getpid())
    with DaskPool(1) as pool:
        assert pool.run(double, 2) == 4
        with pytest.raises(ValueError, match="-3 is negative"):
            pool.run(double, -3)
        with pytest.raises(WorkerLostError, match="worker died"):
            pool.run(die, None)
        assert pool.run(double, 4) == 8
        started = descendants(os.getpid()) - before
        assert started
    assert gone(started)
    with pytest.raises(PoolClosedError):
        pool.run(double, 1)


@pytest.mark.slow
def test_a_dask_cluster_of_its_own_begins_no_worker_when_its_run_is_ended(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    begun, instantiate = [], Nanny.instantiate

    async def noted(nanny):
        begun.append(nanny)
        return await instantiate(nanny)

    monkeypatch.setattr(Nanny, "instantiate", noted)
    before = descendants(os.getpid())
    pool = DaskPool(1)
    assert pool.run(double, 2) == 4
    started = descendants(os.getpid()) - before
    assert started
    ended = KeyboardInterrupt()
    pool.__exit__(type(ended), ended, None)
    assert gone(started)
    assert len(begun) == 1


@pytest.mark.slow
def test_a_ray_cluster_of_its_own_is_ended_at_once(tmp_path):
    """One that does not answer, too: told to end, as all processes of a run are, it takes its time."""
    script, run = tmp_path / "ended.py", uuid4().hex
    script.write_text(ENDED)
    try:
        done = subprocess.run(
            [sys.executable, script, tmp_path / "at-work"],
            env=os.environ | {"PYTHONPATH": str(ROOT), "LIHOP_TESTS_RUN": run},
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
    finally:
        for left in with_variable("LIHOP_TESTS_RUN", run):
            with suppress(ProcessLookupError):
                os.kill(left, signal.SIGKILL)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "True [] ['PoolClosedError']"


@pytest.mark.parametrize("kind", [BatchPool, ThreadPool, DaskPool, RayPool])
def test_a_pool_that_nobody_used_starts_nothing(kind):
    before = descendants(os.getpid())
    with kind(2):
        pass
    assert descendants(os.getpid()) <= before


def test_an_interrupt_ends_threads_at_work():
    begun, ended = threading.Event(), []

    def loop(_payload):
        begun.set()
        while True:
            pass

    def run():
        try:
            pool.run(loop, None)
        except KeyboardInterrupt:
            ended.append(True)

    pool = ThreadPool(1)
    thread = threading.Thread(target=run)
    thread.start()
    assert begun.wait(60)
    error = RuntimeError("interrupted")
    pool.__exit__(type(error), error, None)
    thread.join(60)
    assert ended == [True]
    with pytest.raises(PoolClosedError):
        pool.run(double, 1)


@pytest.mark.parametrize("runner", CLUSTERS)
def test_a_runner_that_is_not_installed_says_what_to_do(monkeypatch, runner):
    monkeypatch.setattr(pools, "find_spec", lambda _name: None)
    with pytest.raises(MissingRunnerError, match=rf"pip install \"lihop\[{runner}\]\""):
        pool_of(ScreenParameters(runner=runner))


class TestParameters:
    def test_a_scheduler_goes_with_a_cluster(self):
        with pytest.raises(ValueError, match="it goes with 'dask' and 'ray'"):
            ScreenParameters(scheduler="tcp://127.0.0.1:8786")

    @pytest.mark.parametrize("bad", ["tcp://me:secret@127.0.0.1:8786", "secret host:1", ""])
    def test_an_address_with_a_password_is_refused_unsaid(self, bad):
        with pytest.raises(OrchestrationError, match="give host and port") as refused:
            ScreenParameters(runner="dask", scheduler=bad)
        assert "secret" not in str(refused.value)

    @pytest.mark.parametrize(
        "bad", ["local", "auto", "tcp://127.0.0.1:6379", "ray://127.0.0.1:10001", "host"]
    )
    def test_the_head_of_a_ray_cluster_has_a_host_and_a_port(self, bad):
        # By some of these Ray would start a cluster that listens on all networks, or take another way to one.
        with pytest.raises(ValueError, match="give HOST:PORT"):
            ScreenParameters(runner="ray", scheduler=bad)
        assert ScreenParameters(runner="ray", scheduler="[::1]:6379").scheduler == "[::1]:6379"

    def test_runners_decide_nothing_of_the_results(self):
        other = ScreenParameters(runner="ray", scheduler="127.0.0.1:6379")
        assert other.digest() == ScreenParameters().digest()
