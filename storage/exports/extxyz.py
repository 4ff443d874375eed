"""Extended XYZ: what ASE writes of a frame and reads back as what it was."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from ase import Atoms

NO_ATOM = "X"
"""ASE's symbol for a place that holds no atom: an empty site, a point of a path."""

# All other text may be numbers, truth values or several of them to ASE, or lose characters.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.()+-]*")
_NOT_TEXT = {"t", "f", "true", "false", "nan", "inf", "infinity", "none"}


def write_frame(file: TextIO, atoms: Atoms) -> None:
    """Add a frame to an open file, with what is known of it; what is unknown is left out, never 0."""
    from ase.io import write

    frame = atoms.copy()
    frame.info = {name: plain_text(value) for name, value in atoms.info.items() if value is not None}
    write(file, frame, format="extxyz")


def plain_text(value: object) -> object:
    """Return a value so that ASE reads it back as what it is: 12_0_1 is a number to Python, T is true."""
    if not isinstance(value, str) or (_PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT):
        return value
    # ASE writes a backslash as it is, and reads it as what makes the next character be taken as it is.
    return "_JSON " + json.dumps(value).replace("\\", "\\\\")
