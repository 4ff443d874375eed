"""Going on with a run that was cut off: its own settings, with other workers where one likes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.parameters import IDLE, QUERIES, ScreenParameters
from models.locate import is_shipped
from storage.errors import StorageError
from storage.history import matching_run
from storage.places import paths_of


class ResumeError(StorageError):
    """A run that cannot be gone on with as it was asked for."""


def resumed(asked: ScreenParameters) -> tuple[ScreenParameters, str | None]:
    """Return the parameters of the run that is to be gone on with, and its identifier.

    Parameters
    ----------
    asked : ScreenParameters
        With `resume`; where it has none it is returned as it is. What decides the results comes from the run,
        everything else from here.

    Returns
    -------
    ScreenParameters
        The parameters to screen with.
    str or None
        The run; None for a new one.

    Raises
    ------
    ResumeError
        When the run was started by a lihop whose settings were others, or is asked to go on under other ones.
    QueryError
        When there is no such run.
    """
    if asked.resume is None:
        return asked, None
    folder = paths_of(asked.database).manifests
    run_id = matching_run(_newest_first(folder), asked.resume)
    settings = _settings(folder / f"{run_id}.json")
    idle = {name: getattr(asked, name) for name in IDLE}
    try:
        found = ScreenParameters.model_validate(settings | idle)
    except ValueError as error:
        raise ResumeError(f"run {run_id} was started by another version of lihop: {error}") from error
    refuse_others(asked, found, run_id)
    return found, run_id


def anchored(parameters: ScreenParameters) -> ScreenParameters:
    """Return parameters of a new run that mean the same wherever it is gone on with, and on other machines.

    Parameters
    ----------
    parameters : ScreenParameters
        The path of structures and a model that is a folder of one's own become absolute; what is not there
        stays as it was given, for whoever tells so.
    """
    given = {"path": parameters.path, "model": parameters.model}
    if is_shipped(parameters.model):
        del given["model"]
    folders = {name: Path(value).expanduser() for name, value in given.items() if value is not None}
    return parameters.model_copy(
        update={name: str(folder.absolute()) for name, folder in folders.items() if folder.exists()}
    )


def _newest_first(folder: Path) -> list[str]:
    """Return the runs that have a manifest in a folder, the one first that started last, as in the database.

    The identifier of a run that was scheduled tells when that was done, days before.
    """
    return sorted(
        (path.stem for path in folder.glob("*.json")),
        key=lambda run_id: (_started(folder / f"{run_id}.json"), run_id),
        reverse=True,
    )


def _started(manifest: Path) -> datetime:
    """Return when a run started; of a manifest that cannot be read, before all others."""
    try:
        at = datetime.fromisoformat(json.loads(manifest.read_text(encoding="utf-8"))["started_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return datetime.min.replace(tzinfo=UTC)
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _settings(manifest: Path) -> dict[str, Any]:
    """Return the parameters that a manifest tells of."""
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
        settings = dict(content["settings"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResumeError(
            f"the manifest {manifest} cannot be read: {error}. Screen with the same settings again: what is "
            "known is not computed twice"
        ) from error
    query = settings.pop("query", None)
    return settings if query is None else settings | {settings["source"]: query}


def refuse_others(asked: ScreenParameters, found: ScreenParameters, run_id: str) -> None:
    """Refuse settings that were asked for beside the run and are not those of the run.

    Raises
    ------
    ResumeError
        When there are any; each is named.
    """
    given = asked.model_fields_set - IDLE - {"resume"}
    # A run keeps where its files are from the root on, however it was told.
    whole = anchored(asked)
    named = [
        f"{name} was {_told(found, name)}, is {_told(asked, name)}"
        for name in sorted(given)
        if getattr(asked, name) not in (getattr(found, name), ScreenParameters.model_fields[name].default)
        and getattr(whole, name) != getattr(found, name)
        and (name not in QUERIES or name == asked.source)
    ]
    if named:
        raise ResumeError(
            f"run {run_id} was started under other settings: {'; '.join(named)}. Leave these out to go on "
            "with it, or start a new run"
        )


def _told(parameters: ScreenParameters, name: str) -> str:
    value = getattr(parameters, name)
    return repr(value.model_dump(mode="json", exclude_unset=True) if name in QUERIES else value)
