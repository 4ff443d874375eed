"""What people call a run: what it screens or syncs, short enough for a list of runs."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tasks.candidates.materials_project_query import MaterialsProjectQuery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flows.parameters import Asking, Query, ScreenParameters
    from tasks.candidates.optimade import OptimadeQuery

PATH_CHARACTERS, FILTER_CHARACTERS = 40, 60
"""Longest path and filter that are told whole."""

NAMED = 3
"""Most identifiers, or chemical systems, that are told one by one."""

STATES = {"charged": "charged", "both": "both states"}
"""States of charge that are worth telling."""


def run_name(parameters: ScreenParameters, found: ScreenParameters | None = None) -> str:
    """Return what people call a screening: ``Li mp electrodes, Co-Li-O, first 100``.

    Parameters
    ----------
    parameters : ScreenParameters
        What is screened.
    found : ScreenParameters, optional
        Of a run that is gone on with: what it was started under, where that is known.
    """
    if parameters.resume is not None:
        what = "" if found is None else f": {run_name(found.model_copy(update={'resume': None}))}"
        return f"resume {parameters.resume}{what}"
    parts = [_asked_of(parameters)]
    if parameters.path is not None:
        parts = [f"{parts[0]} {_short_path(parameters.path)}"]
    if parameters.state in STATES:
        parts.append(STATES[parameters.state])
    if parameters.limit is not None:
        parts.append(f"first {parameters.limit}")
    return ", ".join(parts)


def sync_name(parameters: Asking) -> str:
    """Return what people call a sync: the source, and what is asked of it."""
    return _asked_of(parameters)


def _asked_of(parameters: Asking) -> str:
    """Return working ion and source, and of a remote one what is asked of it."""
    named = f"{parameters.working_ion} {parameters.source}"
    query = parameters.query()
    if query is None:
        return named
    first, *others = _told(query)
    return ", ".join([f"{named} {first}", *others])


def _told(query: Query) -> list[str]:
    """Return what a query asks for, the first part to stand after the name of the source."""
    return _of_materials_project(query) if isinstance(query, MaterialsProjectQuery) else _of_optimade(query)


def _of_materials_project(query: MaterialsProjectQuery) -> list[str]:
    parts: list[str] = [query.kind]
    if query.material_ids:
        parts.append(_some(query.material_ids, "ids"))
    if query.chemsys:
        parts.append(_some(query.chemsys, "systems"))
    if query.elements:
        parts.append(f"with {'-'.join(query.elements)}")
    if query.exclude_elements:
        parts.append(f"without {'-'.join(query.exclude_elements)}")
    return parts


def _of_optimade(query: OptimadeQuery) -> list[str]:
    hosts = [urlsplit(url).hostname or url for url in query.base_urls]
    parts = [_some(hosts, "databases")]
    if query.filter is not None:
        parts.append(_shortened(query.filter, FILTER_CHARACTERS))
        return parts
    if query.elements:
        parts.append(f"with {'-'.join(query.elements)}")
    if query.any_of:
        parts.append(f"any of {'-'.join(query.any_of)}")
    return parts


def _some(names: Sequence[str], what: str) -> str:
    """Return a few names, or the first and how many there are."""
    if len(names) <= NAMED:
        return " ".join(names)
    return f"{names[0]} ... ({len(names)} {what})"


def _shortened(text: str, characters: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= characters else f"{flat[: characters - 3].rstrip()}..."


def _short_path(path: str) -> str:
    """Return a path; of a long one as many of its last parts as fit, one at least."""
    if len(path) <= PATH_CHARACTERS:
        return path
    parts = PurePath(path).parts
    kept = parts[-1]
    for part in reversed(parts[:-1]):
        longer = f"{part}/{kept}"
        if len(longer) > PATH_CHARACTERS - len(".../"):
            break
        kept = longer
    if len(kept) > PATH_CHARACTERS:
        # The end tells more than the beginning: it has the number and the format.
        return f"...{kept[3 - PATH_CHARACTERS :]}"
    return f".../{kept}"
