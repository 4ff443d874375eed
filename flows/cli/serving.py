"""`lihop serve` and `lihop deploy`: schedules, the Prefect UI and workers, here or on another server."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.output import print_json

if TYPE_CHECKING:
    from flows.orchestration.deploying import Deployed

Folder = Annotated[
    Path, typer.Option(help="Folder that runs work in, on the machine of the worker; databases lie there.")
]
Schedules = Annotated[
    bool, typer.Option("--schedules/--no-schedules", help="Let deployments run by themselves, or not.")
]
HERE = Path()


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("serve")(serve)
    app.command("deploy")(deploy)


def serve(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the server and its UI.")] = 4200,
    folder: Folder = HERE,
    runs: Annotated[int, typer.Option(min=1, max=64, help="Screenings at work at once; others wait.")] = 2,
    schedules: Schedules = True,
) -> None:
    """Run a Prefect server, its UI, the schedules and workers on this machine, until Ctrl-C."""
    from flows.orchestration.serving import Workstation, serve

    asked = Workstation(_there(folder), port, runs, schedules)

    def ready(found: Deployed) -> None:
        print(f"Prefect is at {asked.url}; runs work in {asked.folder}. Ctrl-C stops it.")
        _tell_of_schedules(found)
        sys.stdout.flush()

    def tell(text: str) -> None:
        # A terminal that was closed is no reason to stop, where that is not to be heard.
        with suppress(OSError):
            print(f"lihop: {text}", file=sys.stderr, flush=True)

    serve(asked, on_ready=ready, tell=tell)


def deploy(
    folder: Folder = HERE,
    schedules: Schedules = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Bring pools, deployments and automations to the server of PREFECT_API_URL, as often as you like."""
    from flows.orchestration.deploying import deploy
    from flows.prefect_environment import prepare_prefect

    prepare_prefect()
    found = deploy(folder.absolute(), schedules=schedules)
    if as_json:
        print_json(found.as_dict())
        return
    print(f"At {found.api}: {', '.join(found.deployments)}. Runs work in {found.folder}.")
    _tell_of_schedules(found)
    for pool in found.pools:
        print(f"A machine that is to work: prefect worker start --pool {pool} --type process")


def _tell_of_schedules(found: Deployed) -> None:
    for name, when in found.scheduled.items():
        print(f"  {name}: {when}")
    from tasks.candidates.materials_project_client import KEY_VARIABLES

    if found.scheduled and not any(os.environ.get(name) for name in KEY_VARIABLES):
        print(f"{KEY_VARIABLES[0]} is not set here: a worker needs it to ask the Materials Project.")


def _there(folder: Path) -> Path:
    """Return a folder, made if it is not there."""
    whole = folder.absolute()
    whole.mkdir(parents=True, exist_ok=True)
    return whole
