"""The guide to Docker Compose, as far as it goes without an engine: Compose's own client reads it."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deployments.guide import ROOT, Reader, blocks

BIN = Path(sys.executable).parent
# The plugin as the package brings it: a program of its own.
DOCKER = f"""#!/bin/sh
test "$1" = compose || exit 1
shift
exec "{BIN}/docker-compose" "$@"
"""
GUIDE = "docker-compose"


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """Return somebody who has followed the guide as far as passwords, in a folder with the files."""
    root = tmp_path_factory.mktemp("composed")
    with Reader(root, {}) as reader:
        reader.program("docker", DOCKER)
        for name in ("compose.yaml", "Dockerfile"):
            shutil.copy(ROOT / "deployments" / name, root / "home" / name)
        for block in blocks(GUIDE):
            reader.follow(block)
        yield reader


@pytest.fixture(scope="module")
def config(reader):
    """Return what Compose makes of the file."""
    done = _docker(reader, "compose", "--profile", "gpu", "config", "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _docker(reader, *arguments):
    return subprocess.run(
        ["docker", *arguments], env=reader.environment(), cwd=reader.root / "home", capture_output=True,
        text=True, check=False,
    )  # fmt: skip


def test_the_passwords_are_for_their_owner_alone(reader):
    files = list((reader.root / "home" / "secrets").iterdir())
    assert len(files) == 4
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o600"}


def test_without_passwords_it_is_refused(reader, tmp_path):
    shutil.copy(ROOT / "deployments" / "compose.yaml", tmp_path)
    done = _docker(reader, "compose", "--file", str(tmp_path / "compose.yaml"), "config", "--quiet")
    assert done.returncode != 0
    assert f"env file {tmp_path}/secrets/" in done.stderr


def test_what_is_unknown_is_refused(reader, tmp_path):
    """That the client reads closely, and does not take anything."""
    text = (ROOT / "deployments" / "compose.yaml").read_text(encoding="utf-8")
    wrong = reader.root / "home" / "wrong.yaml"
    wrong.write_text(text.replace("stop_grace_period:", "stop_grace_perod:"), encoding="utf-8")
    done = _docker(reader, "compose", "--file", str(wrong), "config", "--quiet")
    wrong.unlink()
    assert done.returncode != 0
    assert "stop_grace_perod" in done.stderr


def test_services_are_those_that_it_takes(config):
    services = config["services"]
    assert services.keys() == {"database", "server", "deploy", "cpu-worker", "gpu-worker"}
    assert services["gpu-worker"]["profiles"] == ["gpu"]
    (device,) = services["gpu-worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    for name in ("cpu-worker", "gpu-worker"):
        worker = services[name]
        assert worker["environment"]["PREFECT_API_URL"] == "http://server:4200/api"
        assert f"lihop-{name[:3]}" in worker["command"]
        assert [volume["target"] for volume in worker["volumes"]] == ["/results"]
        assert "PREFECT_SERVER_DATABASE_CONNECTION_URL" not in worker["environment"]
    # Who holds a limit is kept in files of its home.
    (home,) = services["server"]["volumes"]
    assert services["server"]["environment"]["PREFECT_HOME"] == home["target"] == "/prefect"
    assert "LEASE_STORAGE=prefect.server.concurrency.lease_storage.filesystem" in (
        ROOT / "deployments" / "Dockerfile"
    ).read_text(encoding="utf-8")
    # The server and who asks it have one password.
    assert (
        services["server"]["environment"]["PREFECT_SERVER_API_AUTH_STRING"]
        == (services["deploy"]["environment"]["PREFECT_API_AUTH_STRING"])
    )


def test_nothing_is_published_but_to_this_machine(config):
    published = {
        name: [port.get("host_ip") for port in service["ports"]]
        for name, service in config["services"].items()
        if "ports" in service
    }
    assert published == {"server": ["127.0.0.1"]}


@pytest.mark.parametrize("line", [
    line.removeprefix("$ ").removeprefix("TORCH_INDEX=... ")
    for block in blocks(GUIDE, "console") for line in block.text.splitlines()
])  # fmt: skip
def test_the_client_knows_every_command_of_the_guide(reader, line):
    """Asked for help with all the flags given: an unknown command or flag is an error of its own."""
    words = shlex.split(line)
    assert words[:2] == ["docker", "compose"]
    command = next(number for number, word in enumerate(words[2:], 2) if word in _commands(reader))
    # Behind a service come the words of another program.
    ours = words[: command + 1] if words[command] == "exec" else words
    done = _docker(reader, *ours[1:], "--help")
    assert done.returncode == 0, done.stderr
    assert f"docker compose {words[command]}" in done.stdout
    wrong = _docker(reader, *ours[1:], "--no-such-flag", "--help")
    assert wrong.returncode != 0


def _commands(reader):
    lines = _docker(reader, "compose", "--help").stdout.partition("Commands:")[2].splitlines()
    return {line.split()[0] for line in lines if line.startswith("  ") and line.split()}


def test_the_linter_finds_nothing_in_the_dockerfile():
    done = subprocess.run(
        [BIN / "hadolint", ROOT / "deployments" / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_is_made_of_what_is_there():
    """What is copied is in the checkout and let through by the ignore file, and all packages are copied."""
    text = (ROOT / "deployments" / "Dockerfile").read_text(encoding="utf-8")
    copied = [word for line in text.splitlines() if line.startswith("COPY ") for word in line.split()[1:-1]]
    ignore = (ROOT / "deployments" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert {"flows", "tasks", "models", "storage", "deployments", "constraints.txt"} <= set(copied)
    for name in copied:
        assert (ROOT / name).exists()
        assert f"!{name}" in ignore
    assert "USER 10001" in text
    assert text.index("'^torch=='") < text.index("-c constraints.txt")
