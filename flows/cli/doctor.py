"""`lihop doctor`: what works here, what is missing, and how to get it."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.output import print_json, print_table
from flows.settings import resolve

if TYPE_CHECKING:
    from collections.abc import Callable

TESTED_PYTHON = (3, 11)
NEEDED_FREE_GB = 1.0


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    check: str
    ok: bool
    detail: str
    remedy: str | None = None


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Say what works here, what is missing, and how to get it; exit with 1 when something needed is."""
    needed = [look() for look in NEEDED]
    wanted = [look() for look in OPTIONAL]
    # What is as it should be needs no remedy.
    rows = [asdict(check) | ({"remedy": None} if check.ok else {}) for check in needed + wanted]
    if as_json:
        print_json(rows)
    else:
        print_table(rows, {"check": "check", "ok": "ok", "detail": "found", "remedy": "what to do"})
    if not all(check.ok for check in needed):
        raise typer.Exit(1)


def check_python() -> Check:
    """Look at the Python version."""
    found = ".".join(map(str, sys.version_info[:3]))
    return Check(
        "python", sys.version_info[:2] == TESTED_PYTHON, found, "lihop is tested on Python 3.11; use that one"
    )


def check_packages() -> Check:
    """Look at the versions of what lihop is built on."""
    from packaging.requirements import Requirement

    wrong = []
    for text in metadata.requires("lihop") or []:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            wrong.append(f"{requirement.name} {found}, needed is {requirement.specifier}")
    detail = "; ".join(wrong) if wrong else "all as needed"
    return Check("packages", not wrong, detail, "make install, or pip install -c constraints.txt -e .")


def check_model() -> Check:
    """Look at the checkpoint that screens."""
    from models.errors import ModelError
    from models.locate import find_checkpoint, read_digest

    name = resolve({}).model
    try:
        digest = read_digest(find_checkpoint(name))
    except ModelError as error:
        return Check("model", False, str(error), "lihop train, then --model FOLDER")
    return Check("model", True, f"{name}, digest {digest[:12]}")


def check_accelerator() -> Check:
    """Look for a GPU that Lightning would use."""
    import torch

    if torch.cuda.is_available():
        return Check("GPU", True, torch.cuda.get_device_name(0))
    return Check("GPU", False, f"none; torch {torch.__version__} predicts on the CPU", "not needed")


def check_disk() -> Check:
    """Look at the space where the database lies."""
    folder = Path(resolve({}).database).absolute().parent
    while not folder.exists():
        folder = folder.parent
    free_gb = shutil.disk_usage(folder).free / 1e9
    writable = os.access(folder, os.W_OK)
    detail = f"{free_gb:.1f} GB free in {folder}" + ("" if writable else ", which cannot be written to")
    return Check(
        "disk", writable and free_gb > NEEDED_FREE_GB, detail, "free some, or give another --database"
    )


def check_database() -> Check:
    """Look at the published database."""
    from storage import queries
    from storage.errors import StorageError

    path = resolve({}).database
    try:
        rows = queries.rankings(path)
    except StorageError as error:
        return Check("database", False, str(error), "lihop screen --source reference")
    return Check("database", True, f"{len(rows)} materials in {path}")


def check_shards() -> Check:
    """Look whether the results folder can be written, read and deleted in."""
    from storage.errors import StorageError
    from storage.folder_names import is_remote
    from storage.folders import try_out
    from storage.places import paths_of
    from storage.results_folder import remembered

    settings = resolve({})
    try:
        noted = remembered(paths_of(settings.database))
        folder = settings.shards if noted is None else noted.shards
        if folder is None:
            return Check("results folder", True, "beside the database")
        if not is_remote(folder) and not Path(folder).exists():
            return Check("results folder", True, f"{folder}, made once it is needed")
        try_out(folder)
    except StorageError as error:
        return Check("results folder", False, str(error), "what the message says, or another --shards")
    return Check("results folder", True, f"files can be written and read in {folder}")


def check_data() -> Check:
    """Look for the data set that training needs."""
    from tasks.datasets import devi2025
    from tasks.datasets.errors import DatasetError

    given = resolve({}).data_dir
    try:
        folder = devi2025.find_data_dir(None if given is None else Path(given))
    except DatasetError as error:
        return Check("devi2025", False, "not found; screening does not need it", str(error))
    return Check("devi2025", True, str(folder))


NEEDED: tuple[Callable[[], Check], ...] = (
    check_python,
    check_packages,
    check_model,
    check_disk,
    check_shards,
)
OPTIONAL: tuple[Callable[[], Check], ...] = (check_database, check_data, check_accelerator)
