"""Finds a checkpoint and its digest without loading it: a screening with nothing new needs no torch."""

from __future__ import annotations

import importlib.resources
import json
from pathlib import Path

from models.errors import CheckpointError

MANIFEST = "model.json"


def find_checkpoint(name_or_path: str) -> Path:
    """Return the folder of a shipped checkpoint, by name, or of one of the user's own, by path.

    Raises
    ------
    CheckpointError
        When there is none; it names what there is.
    """
    if is_shipped(name_or_path):
        return _shipped() / name_or_path
    folder = Path(name_or_path).expanduser()
    if (folder / MANIFEST).is_file():
        return folder
    names = sorted(entry.parent.name for entry in _shipped().glob(f"*/{MANIFEST}"))
    raise CheckpointError(
        f"--model {name_or_path}: no checkpoint of that name or folder; shipped are {', '.join(names)}. "
        "Give one of these, a folder that `lihop train` wrote, or train one"
    )


def is_shipped(name: str) -> bool:
    """Tell whether a checkpoint of that name comes with lihop."""
    return len(Path(name).parts) == 1 and (_shipped() / name / MANIFEST).is_file()


def _shipped() -> Path:
    return Path(str(importlib.resources.files("models"))) / "pretrained"


def read_digest(folder: Path) -> str:
    """Return the digest that a checkpoint states; loading it checks that it is true.

    Raises
    ------
    CheckpointError
        When the file cannot be read or states none.
    """
    try:
        return str(json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["digest"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / MANIFEST} states no digest ({error}); get a fresh copy") from error
