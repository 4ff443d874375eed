"""Where settings come from: flags first, then LIHOP_* variables, then lihop.toml in the current folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from flows.parameters import QUERIES, ScreenParameters, SyncParameters

if TYPE_CHECKING:
    from collections.abc import Mapping


DEFAULT_REMOTE = "mp"


class Settings(BaseSettings, ScreenParameters):
    """Everything that can be set for all commands. An unknown name in lihop.toml is an error."""

    model_config = SettingsConfigDict(
        env_prefix="LIHOP_", toml_file="lihop.toml", frozen=True, extra="forbid", title="lihop settings"
    )

    data_dir: str | None = Field(
        default=None, title="Data folder", description="Folder that holds data sets, such as devi2025/."
    )

    @model_validator(mode="after")
    def _path_goes_with_files(self) -> Settings:
        # Judged where a screening takes its part: other commands have no use for either.
        return self

    @model_validator(mode="after")
    def _query_fits(self) -> Settings:
        # The same.
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, the strongest first."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


class _Named(BaseSettings):
    """The source alone: which flags make up its query has to be known before the rest can be judged."""

    model_config = SettingsConfigDict(env_prefix="LIHOP_", toml_file="lihop.toml", extra="ignore")

    source: str = str(ScreenParameters.model_fields["source"].default)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        *given: PydanticBaseSettingsSource,
        **named: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the same sources."""
        return Settings.settings_customise_sources(settings_cls, *given, **named)


def source_of(flags: Mapping[str, Any]) -> str:
    """Return the source that is named by the flags, or else by the settings, allowed or not."""
    given = flags.get("source")
    return _Named().source if given is None else str(given)


def resolve(flags: Mapping[str, Any]) -> Settings:
    """Return the settings in force; a flag that is None was not given.

    A flag for a source that takes no path sets aside a path that came from elsewhere.

    Raises
    ------
    pydantic.ValidationError
        When a value is not allowed, wherever it came from.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    if given.get("source", "files") != "files":
        given.setdefault("path", None)
    return Settings(**given)


def screen_parameters(settings: Settings) -> ScreenParameters:
    """Return the part of the settings that a screening takes.

    Raises
    ------
    pydantic.ValidationError
        When source and path do not go together.
    """
    return ScreenParameters(**{name: getattr(settings, name) for name in ScreenParameters.model_fields})


def sync_parameters(
    settings: Settings, *, source: str | None, refresh: bool, dry_run: bool
) -> SyncParameters:
    """Return the part of the settings that a sync takes.

    Raises
    ------
    pydantic.ValidationError
        When the query does not go with the working ion.
    """
    named = settings.source if source is None else source
    return SyncParameters(
        source=named if named in QUERIES or source is not None else DEFAULT_REMOTE,
        working_ion=settings.working_ion,
        database=settings.database,
        refresh=refresh,
        dry_run=dry_run,
        **{name: getattr(settings, name) for name in QUERIES},
    )
