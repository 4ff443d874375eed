"""What is wrong with settings, in words that hold no key, wherever somebody wrote one down."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from flows.parameters import QUERIES
from tasks.candidates.materials_project_client import KEY_VARIABLES

if TYPE_CHECKING:
    from pydantic import ValidationError

SECRET = re.compile(r"(key|token|secret|password)$", re.IGNORECASE)
"""How names end whose values are not told."""

KEY_NAME = re.compile(r"api_?key$", re.IGNORECASE)
HIDDEN = "***"
SECRETS_OF_URLS = re.compile(r"(?<=//)[^/?#\s'\"]*@|(?<=[^\s'\"]\?)[^\s'\"]+")
"""In a URL, who asks, and what is asked, where some hand a key over."""


def readable(error: ValidationError) -> str:
    """Return what is wrong with settings, a line each: the name, what was given, what is allowed.

    What was given is left out where it may be a key.
    """
    lines = []
    for entry in error.errors():
        name = ".".join(str(part) for part in entry["loc"])
        message = entry["msg"].removeprefix("Value error, ")
        if not name:
            lines.append(message)
        elif KEY_NAME.search(name):
            lines.append(f"{name}: {message}; set {KEY_VARIABLES[0]} in the environment instead")
        elif entry["type"] == "extra_forbidden" or _secret(entry["loc"]):
            lines.append(f"{name}: {message}")
        else:
            lines.append(f"{name}: {message} (given: {_told(name, entry['input'])})")
    return SECRETS_OF_URLS.sub(HIDDEN, "\n".join(lines))


def _secret(names: tuple[int | str, ...]) -> bool:
    return any(isinstance(name, str) and SECRET.search(name) for name in names)


def _told(name: str, given: object) -> str:
    if name in QUERIES and not isinstance(given, Mapping):
        # One text in place of all that may be asked is as likely the key as anything else.
        return f"a {type(given).__name__}"
    return repr(_redacted(given))


def _redacted(given: object) -> object:
    """Return what was given, without what stands under names that keys have."""
    if isinstance(given, Mapping):
        return {
            name: HIDDEN if SECRET.search(str(name)) else _redacted(value) for name, value in given.items()
        }
    if isinstance(given, list | tuple):
        return type(given)(_redacted(one) for one in given)
    return given
