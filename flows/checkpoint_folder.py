"""Looks at the folder that a checkpoint is to be written to: whatever else is there would be lost."""

from __future__ import annotations

import json
from pathlib import Path

from models.errors import InputError
from tasks.datasets.findings import some

JSON_NAME = "model.json"
FILES = (
    "weights.safetensors",
    JSON_NAME,
    "MODEL_CARD.md",
)  # as models.checkpoints has them, which needs torch
FIELDS = ("format", "digest")


def refuse_loss(output: Path) -> None:
    """Refuse a place for a checkpoint that cannot be replaced whole, or holds something else.

    Parameters
    ----------
    output : Path
        The checkpoint's folder; it may be there or not.

    Raises
    ------
    InputError
        When it is the current folder or holds that, or is there and neither empty nor a checkpoint.
    """
    whole = output.resolve()
    if output.name in {"", ".."} or whole.is_mount() or Path.cwd().resolve().is_relative_to(whole):
        raise InputError(
            f"--output {output} is a folder that is in use and cannot be replaced; name one within it, such "
            f"as {output / 'checkpoint'}"
        )
    if not output.exists():
        return
    reason = _other_than_checkpoint(output)
    if reason:
        raise InputError(
            f"--output {output} is something else than a checkpoint, and would be replaced: {reason}; give "
            "another name, or move that elsewhere"
        )


def _other_than_checkpoint(folder: Path) -> str:
    """Return why a place that is there is neither an empty folder nor a checkpoint; empty where it is one."""
    if not folder.is_dir():
        return "it is a file"
    there = sorted(folder.iterdir())
    others = [entry.name for entry in there if entry.name not in FILES or not entry.is_file()]
    if others:
        return f"it holds {some(others)}"
    if not there:
        return ""
    names = ", ".join(entry.name for entry in there)
    manifest = folder / JSON_NAME
    if not manifest.is_file():
        return f"it holds {names} and no {JSON_NAME}"
    try:
        said = json.loads(manifest.read_bytes())
    except ValueError:
        return f"its {JSON_NAME} is not JSON"
    lacks = [name for name in FIELDS if not isinstance(said, dict) or name not in said]
    return f"its {JSON_NAME} is none of lihop's, without {' and '.join(lacks)}" if lacks else ""
