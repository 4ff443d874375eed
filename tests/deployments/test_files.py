"""What holds for all files that lihop is deployed by: no password, no open port, no image that may change."""

from __future__ import annotations

import importlib.resources
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.deployments.guide import GUIDES, ROOT

NAMES = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard", "deployments", "docs/guides"],
    capture_output=True, text=True, check=True, cwd=ROOT,
).stdout.split()  # fmt: skip
FILES = [name for name in NAMES if (ROOT / name).is_file()]
IMAGE = re.compile(r"^\s*(?:FROM|image:)\s+(\S+)", re.MULTILINE)
PINNED = re.compile(r"[^:@]+:\d[\w.-]*\.\d[\w.-]*(@sha256:[0-9a-f]{64})?")
# What may stand where a secret belongs: a file, a reference, a command that makes one, a placeholder.
SECRET = re.compile(
    r"""(?ix) ^ [^#\n]*? \b [\w.-]* (?:password|passwd|secret|token|auth_string|api_key)
        ["']? [ \t]* [:=] [ \t]* ["']? (?P<value> [^\s"',\]}]+ )""",
    re.MULTILINE,
)
ALLOWED = re.compile(r"`|(?:lihop:)?\$\(|\.\.\.|secrets/|\|$|NAME:PASSWORD$|false$")
URL = re.compile(r"://[^/\s:@`]+:(?P<value>[^@\s`]+)@")
PORT = re.compile(r"(?<![\d.])(?P<address>(?:\d{1,3}(?:\.\d{1,3}){3}:)?)\d{3,5}:\d{2,5}(?![\d.])")


def _text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_there_is_something_to_look_at():
    assert {"deployments/compose.yaml", "deployments/Dockerfile", "docs/guides/workstation.md",
            "deployments/kubernetes/server.yaml", "deployments/slurm/screen.sbatch"} <= {*FILES}  # fmt: skip


def secrets_in(text):
    """Return values that stand where a secret belongs, and are one."""
    found = [match["value"] for match in SECRET.finditer(text) if not ALLOWED.match(match["value"])]
    return found + [match["value"] for match in URL.finditer(text) if not match["value"].startswith("$(")]


@pytest.mark.parametrize("name", FILES)
def test_no_file_has_a_password(name):
    assert secrets_in(_text(name)) == []


@pytest.mark.parametrize(
    "text",
    ["POSTGRES_PASSWORD: hunter2", "  password=hunter2", 'PREFECT_API_AUTH_STRING: "lihop:hunter2"',
     "postgresql+asyncpg://lihop:hunter2@database/prefect", "LIHOP_MP_API_KEY=0123456789abcdef"],
)  # fmt: skip
def test_a_password_would_be_found(text):
    assert secrets_in(text)


@pytest.mark.parametrize("name", FILES)
def test_images_are_pinned(name):
    for image in IMAGE.findall(_text(name)):
        assert PINNED.fullmatch(image), image


@pytest.mark.parametrize("image", ["postgres", "postgres:latest", "postgres:17", "lihop:main"])
def test_an_image_that_may_change_would_be_found(image):
    assert not PINNED.fullmatch(image)


@pytest.mark.parametrize(
    "name", [name for name in FILES if name.endswith(("compose.yaml", ".md", ".service"))]
)
def test_ports_are_published_to_this_machine_alone(name):
    """A tunnel and a port-forward listen there unless told otherwise."""
    for line in _text(name).splitlines():
        if re.search(r"port-forward|ssh .*-L|uid=\d", line):
            continue
        for match in PORT.finditer(line):
            assert match["address"] == "127.0.0.1:", line


@pytest.mark.parametrize("line", ["- 4200:4200", '"0.0.0.0:4200:4200"', "docker run --publish 5432:5432"])
def test_an_open_port_would_be_found(line):
    match = PORT.search(line)
    assert match is not None
    assert match["address"] != "127.0.0.1:"


def test_the_version_of_the_image_is_that_of_lihop():
    version = tomllib.loads(_text("pyproject.toml"))["project"]["version"]
    images = {image for name in FILES for image in IMAGE.findall(_text(name)) if image.startswith("lihop")}
    assert images == {f"lihop:{version}"}


def test_files_come_with_the_package():
    patterns = tomllib.loads(_text("pyproject.toml"))["tool"]["setuptools"]["package-data"]
    root = Path(str(importlib.resources.files("deployments")))
    packages = {path.parent.relative_to(root) for path in root.rglob("__init__.py")}
    for name in FILES:
        path = Path(name)
        if path.parts[0] != "deployments" or path.suffix == ".py":
            continue
        inside = path.relative_to("deployments")
        if inside.parent in packages and any(inside.match(one) for one in patterns["*"]):
            continue
        assert any(inside.match(one) for one in patterns["deployments"]), name


def test_the_readme_names_every_guide():
    readme = _text("README.md")
    for guide in GUIDES.glob("*.md"):
        assert f"docs/guides/{guide.name}" in readme
