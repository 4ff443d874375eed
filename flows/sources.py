"""Which source and which cleaning the parameters ask for. A new source is one more line here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.candidates.cleaning import CleaningSettings

if TYPE_CHECKING:
    from flows.parameters import ScreenParameters
    from tasks.candidates.source import Source


def make_source(parameters: ScreenParameters) -> Source:
    """Return the source that the parameters name."""
    if parameters.source == "files" and parameters.path is not None:
        from tasks.candidates.files import FilesSource

        return FilesSource(parameters.path, parameters.max_file_mb)
    from tasks.candidates.reference import ReferenceSource

    return ReferenceSource()


def cleaning_settings(parameters: ScreenParameters) -> CleaningSettings:
    """Return what the parameters ask of a structure."""
    return CleaningSettings(working_ion=parameters.working_ion, max_sites=parameters.max_sites)
