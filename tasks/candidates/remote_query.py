"""What the queries of remote databases have in common: how a bound is lifted."""

from __future__ import annotations

import typing
from typing import Any

from pydantic import BaseModel, model_validator

NONE = "none"
"""What lifts a bound that a query has unless something else is asked for."""


class RemoteQuery(BaseModel):
    """A query of a remote database; where a number may be left out, the word none says so."""

    @model_validator(mode="before")
    @classmethod
    def _none_lifts_a_bound(cls, given: Any) -> Any:  # noqa: ANN401 - whatever was given
        if not isinstance(given, dict):
            return given
        # TOML and the environment have no null.
        return {
            name: None if cls._is_bound(name) and _says_none(value) else value
            for name, value in given.items()
        }

    @classmethod
    def _is_bound(cls, name: object) -> bool:
        field = cls.model_fields.get(str(name))
        kinds = () if field is None else typing.get_args(field.annotation)
        return type(None) in kinds and bool({int, float} & set(kinds))


def _says_none(value: object) -> bool:
    return isinstance(value, str) and value.strip().lower() == NONE
