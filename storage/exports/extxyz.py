"""Extended XYZ: what ASE writes of a frame and reads back as what it was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from ase import Atoms

NO_ATOM = "X"
"""ASE's symbol for a place that holds no atom: an empty site, a point of a path."""


def write_frame(file: TextIO, atoms: Atoms) -> None:
    """Add a frame to an open file, with what is known of it; what is unknown is left out, never 0."""
    from ase.io import write

    frame = atoms.copy()
    frame.info = {name: plain_text(value) for name, value in atoms.info.items() if value is not None}
    write(file, frame, format="extxyz")


def plain_text(value: object) -> object:
    """Return a value so that ASE reads it back as what it is: 12_0_1 is a number to Python, T is true."""
    if not isinstance(value, str):
        return value
    try:
        float(value)
    except ValueError:
        as_it_is = value.isprintable() and value and value.lower() not in {"t", "f", "true", "false"}
        return value if as_it_is else f"_JSON {json.dumps(value)}"
    return f"_JSON {json.dumps(value)}"
