"""Extended XYZ: what ASE writes of a frame and reads back as what it was."""

from __future__ import annotations

import json

NO_ATOM = "X"
"""ASE's symbol for a place that holds no atom: an empty site, a point of a path."""


def plain_text(value: object) -> object:
    """Return a value so that ASE reads it back as what it is: 12_0_1 is a number to Python, T is true."""
    if not isinstance(value, str):
        return value
    try:
        float(value)
    except ValueError:
        return f"_JSON {json.dumps(value)}" if value.lower() in {"t", "f", "true", "false"} else value
    return f"_JSON {json.dumps(value)}"
