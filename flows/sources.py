"""Which source and which cleaning the parameters ask for. A new source is one more line here."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from tasks.candidates.cleaning import CleaningSettings
from tasks.candidates.source import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from flows.parameters import Query, ScreenParameters, SyncParameters
    from tasks.candidates.entries import RemoteSource
    from tasks.candidates.materials_project_query import MaterialsProjectQuery
    from tasks.candidates.optimade import OptimadeQuery
    from tasks.candidates.source import Source


def make_source(parameters: ScreenParameters) -> Source:
    """Return the source that the parameters name; of a remote database, what was synced from it."""
    if parameters.query() is not None:
        from flows.stored import StoredSource

        return StoredSource(make_remote(parameters), parameters.database)
    if parameters.source == "files" and parameters.path is not None:
        from tasks.candidates.files import FilesSource

        return FilesSource(parameters.path, parameters.max_file_mb)
    from tasks.candidates.reference import ReferenceSource

    return ReferenceSource()


def make_remote(parameters: ScreenParameters | SyncParameters) -> RemoteSource:
    """Return the remote database that the parameters name, with what is asked of it.

    Raises
    ------
    SourceError
        When they name none.
    """
    query = parameters.query()
    if query is None:
        raise SourceError(f"the source {parameters.source!r} is no remote database; there is nothing to sync")
    return REMOTE[parameters.source](query)


def _materials_project(query: Query) -> RemoteSource:
    from tasks.candidates.materials_project import MaterialsProjectSource

    return MaterialsProjectSource(cast("MaterialsProjectQuery", query))


def _optimade(query: Query) -> RemoteSource:
    from tasks.candidates.optimade import OptimadeSource

    return OptimadeSource(cast("OptimadeQuery", query))


REMOTE: dict[str, Callable[[Query], RemoteSource]] = {"mp": _materials_project, "optimade": _optimade}


def cleaning_settings(parameters: ScreenParameters) -> CleaningSettings:
    """Return what the parameters ask of a structure."""
    return CleaningSettings(
        working_ion=parameters.working_ion,
        max_sites=parameters.max_sites,
        symprec_ang=parameters.symprec_ang,
        order_disorder=parameters.order_disorder,
    )
