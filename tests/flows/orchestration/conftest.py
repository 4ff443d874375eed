"""A workstation, or a Prefect server alone, that the tests of a file share."""

from __future__ import annotations

import pytest

from flows.orchestration.names import GPU
from tests.servers.materials_project import KEY, World, serving
from tests.servers.objects import AT_HOME
from tests.servers.workstation import workstation


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Return a workstation for all tests of a file.

    The Materials Project that it knows is a server of the tests.
    """
    with serving(World(materials=6, max_sites=8)) as remote:
        theirs = {"LIHOP_MP_ENDPOINT": remote.endpoint, "LIHOP_MP_API_KEY": KEY, "NO_PROXY": "127.0.0.1"}
        theirs |= AT_HOME
        # Without schedules, or a night that begins in earnest would be among what is counted.
        root, flags = tmp_path_factory.mktemp("served"), ["--no-schedules"]
        with workstation(root, *flags, variables=lambda own: own | theirs) as here:
            for pool in ("lihop-cpu", "lihop-gpu"):
                here.until(lambda pool=pool: here.ask("POST", f"/work_pools/{pool}/workers/filter", {}))
            yield here


@pytest.fixture(scope="module")
def server():
    """Serve an API from an empty database."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=180):
        yield


@pytest.fixture(scope="module")
def deployed(server, tmp_path_factory):
    """Return the folder of what was deployed to the server of a file."""
    from flows.orchestration.deploying import deploy

    folder = tmp_path_factory.mktemp("deployed")
    deploy(folder, schedules=False)
    return folder


@pytest.fixture
def client(server):
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as found:
        yield found


@pytest.fixture
def manned(client, deployed):
    """Say that a worker of the GPU pool is alive."""
    client.request("POST", "/work_pools/{name}/workers/heartbeat", path_params={"name": GPU},
                   json={"name": "tester"})  # fmt: skip
