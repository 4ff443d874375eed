"""Where settings come from: flags first, then LIHOP_* variables, then lihop.toml in the current folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from flows.parameters import ScreenParameters

if TYPE_CHECKING:
    from collections.abc import Mapping


class Settings(BaseSettings, ScreenParameters):
    """Everything that can be set for all commands. An unknown name in lihop.toml is an error."""

    model_config = SettingsConfigDict(
        env_prefix="LIHOP_", toml_file="lihop.toml", frozen=True, extra="forbid", title="lihop settings"
    )

    data_dir: str | None = Field(
        default=None, title="Data folder", description="Folder that holds data sets, such as devi2025/."
    )

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


def resolve(flags: Mapping[str, Any]) -> Settings:
    """Return the settings in force; a flag that is None was not given.

    Raises
    ------
    pydantic.ValidationError
        When a value is not allowed, wherever it came from.
    """
    return Settings(**{name: value for name, value in flags.items() if value is not None})


def screen_parameters(settings: Settings) -> ScreenParameters:
    """Return the part of the settings that a screening takes."""
    return ScreenParameters(**{name: getattr(settings, name) for name in ScreenParameters.model_fields})
