"""Flags for what is asked of remote databases, made from the models that the Prefect form is made from."""

from __future__ import annotations

import inspect
import typing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.errors import UsageError
from flows.parameters import QUERIES
from tasks.candidates.remote_query import NONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic.fields import FieldInfo

    from flows.settings import Settings

MAX_SITES = "max_sites"
SHARED = ("working_ion", MAX_SITES)
"""Flags of `screen` and `sync` themselves, which a query takes part in where it has a field of that name."""


def flag_fields() -> dict[str, dict[str, FieldInfo]]:
    """Return what can be asked, by name: each source that knows it, and the field there."""
    found: dict[str, dict[str, FieldInfo]] = {}
    for source, query in QUERIES.items():
        for name, field in query.model_fields.items():
            if name not in SHARED:
                found.setdefault(name, {})[source] = field
    return found


def with_query_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command whose parameter `asked` is gathered from one flag a field of the queries."""
    fields = flag_fields()
    signature = inspect.signature(command, eval_str=True)

    def wrapped(**given: Any) -> None:  # noqa: ANN401 - whatever the flags hold
        asked = {name: given.pop(name) for name in fields}
        command(**given, asked={name: value for name, value in asked.items() if value is not None})

    own = [one for name, one in signature.parameters.items() if name != "asked"]
    more = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(name, by_source)
        )
        for name, by_source in fields.items()
    ]
    own = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
    wrapped.__signature__ = inspect.Signature([*own, *more])  # type: ignore[attr-defined]
    wrapped.__annotations__ = {one.name: one.annotation for one in (*own, *more)}
    wrapped.__doc__ = command.__doc__
    return wrapped


def query_of(source: str, asked: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """Return what was asked of a source, and what of the shared flags it takes.

    Raises
    ------
    UsageError
        When something was asked that the source does not know.
    """
    fields = flag_fields()
    for name in asked:
        if source not in fields[name]:
            flag = f"--{name.replace('_', '-')}"
            known = " or ".join(fields[name])
            raise UsageError(f"{flag} was given with the source {source!r}; it goes with --source {known}")
    if source not in QUERIES:
        return {}
    query = {name: _given(value) for name, value in asked.items()}
    names = QUERIES[source].model_fields
    return query | {name: value for name, value in shared.items() if name in names and value is not None}


def max_sites_of(settings: Settings, source: str) -> int | None:
    """Return the bound on sites that the settings have for all, unless the query has one of its own."""
    of_query = getattr(settings, source, None)
    own = of_query is not None and MAX_SITES in of_query.model_fields_set
    return settings.max_sites if MAX_SITES in settings.model_fields_set and not own else None


def _lifts(field: FieldInfo) -> bool:
    """Tell whether a bound holds unless it is lifted."""
    return field.default is not None and type(None) in typing.get_args(field.annotation)


def _given(value: object) -> object:
    """Return what a flag gave: lists apart at commas (Mn,O is two elements)."""
    if not isinstance(value, list):
        return value
    return [part.strip() for one in value for part in one.split(",") if part.strip()]


def _annotation(name: str, by_source: dict[str, FieldInfo]) -> object:
    """Return the annotation from which typer makes a flag."""
    field = next(iter(by_source.values()))
    texts = dict.fromkeys(str(one.description) for one in by_source.values())
    text = f"[{', '.join(by_source)}] {' / '.join(texts)}"
    kind = _plain(field.annotation)
    if kind is bool:
        flag = name.replace("_", "-")
        return Annotated[bool | None, typer.Option(f"--{flag}/--no-{flag}", help=text)]
    if any(_lifts(one) for one in by_source.values()):
        # As it was typed: pydantic judges the number, and none is none to typer.
        return Annotated[str | None, typer.Option(help=text, metavar=f"<{kind.__name__}|{NONE}>")]
    # A filter of one's own may hold commas, and so it is a plain text.
    return Annotated[kind | None, typer.Option(help=text)]


def _plain(annotation: object) -> Any:  # noqa: ANN401 - a type for typer
    """Return the type that a flag takes: what pydantic judges arrives as it was typed."""
    parts = [part for part in typing.get_args(annotation) if part is not type(None)]
    origin = typing.get_origin(annotation)
    if origin is tuple:
        return list[str]
    if origin is typing.Literal:
        return str
    if parts:
        return _plain(parts[0])
    return annotation
