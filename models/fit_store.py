"""Finished fits in a folder: the weights of one network each, by what they follow from, as safetensors."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from models.arrays import LabelledArrays
    from models.settings import TrainSettings

SUFFIX = ".safetensors"
_CHECKSUM = "sha256"
_ABOUT = "about"


def rows_digest(rows: LabelledArrays) -> str:
    """Return a SHA-256 over labelled rows: what they are, their order, inputs, labels, ids and hosts."""
    digest = hashlib.sha256()
    plain = [rows.spec.model_dump(mode="json"), rows.ids, rows.hosts, rows.ions, rows.methods]
    digest.update(json.dumps(plain).encode())
    digest.update(rows.barrier_ev.tobytes())
    for name, array in sorted(rows.inputs.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def fit_key(training_digest: str, settings: TrainSettings, seed: int, accelerator: str) -> str:
    """Return the key of one fit: everything that decides its weights, on one machine.

    Parameters
    ----------
    training_digest : str
        ``rows_digest`` of its training rows.
    settings : TrainSettings
        How it is trained.
    seed : int
        The network's own.
    accelerator : str
        ``cpu`` or ``cuda``, which do not round alike.
    """
    parts = [training_digest, settings.digest(), seed, accelerator, torch.__version__]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def write_atomically(file: Path, content: bytes) -> None:
    """Write a file under another name, then move it into place: whoever reads it finds all of it or none."""
    handle, temporary = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(file)
    finally:
        Path(temporary).unlink(missing_ok=True)


class FitStore:
    """Weights of finished fits in a folder, a file each; a damaged one counts as not there.

    Parameters
    ----------
    folder : Path
        Made when the first fit is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, key: str) -> dict[str, Tensor] | None:
        """Return the weights under a key; None where there are none, or they are not what was written."""
        file = self.folder / f"{key}{SUFFIX}"
        if not file.is_file():
            return None
        try:
            with safe_open(file, framework="pt") as opened:
                state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
                said = (opened.metadata() or {}).get(_CHECKSUM)
        except (SafetensorError, OSError):
            return None
        return state if said == _checksum(state) else None

    def write(self, key: str, state: Mapping[str, Tensor], about: Mapping[str, object]) -> None:
        """Keep the weights of a finished fit, with what it was for, in words for people."""
        self.folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
        metadata = {_ABOUT: json.dumps(about), _CHECKSUM: _checksum(tensors)}
        write_atomically(self.folder / f"{key}{SUFFIX}", save_tensors(tensors, metadata=metadata))

    def __len__(self) -> int:
        return len(list(self.folder.glob(f"*{SUFFIX}")))


def _checksum(state: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
