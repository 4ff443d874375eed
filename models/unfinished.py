"""A training that is not finished: a folder that lets it go on after it was cut off, as it was begun."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from models.arrays import LabelledArrays
from models.errors import ModelError, UnfinishedError
from models.fit_store import FitStore, rows_digest, write_atomically
from models.specs import InputSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FORMAT = 1
MANIFEST_NAME = "training.json"
HOPS_NAME = "hops.npz"
FITS_NAME = "fits"
_LOCK_NAME = ".lock"
_PREFIX = "group."  # of an array of the described hops; the rest are labels
_BEGIN_ANEW = "give --fresh to throw it away and begin anew, or another --output"


class _Manifest(BaseModel):
    """What ``training.json`` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int
    asked: dict[str, Any]
    rows: str | None


class Unfinished:
    """The folder of one training, held by one process at a time; use `unfinished` to open one.

    Parameters
    ----------
    folder : Path
        Removed by `finish`.
    asked : mapping of str to JSON values
        Everything that decides what the training produces, apart from the described rows.
    """

    def __init__(self, folder: Path, asked: dict[str, Any]) -> None:
        self.folder = folder
        # As JSON gives it back, so that the two can be compared.
        self.asked: dict[str, Any] = json.loads(json.dumps(asked))
        self.store = FitStore(folder / FITS_NAME)
        self._rows: str | None = None

    def resume(self) -> bool:
        """Take up what the folder holds; return whether there was anything.

        Raises
        ------
        UnfinishedError
            If it is of a training that was asked for in other words, naming them.
        """
        found = self._read()
        if found is None:
            return False
        differ = _differences(found.asked, self.asked)
        if differ:
            raise UnfinishedError(
                f"{self.folder} holds a training that was begun otherwise: {'; '.join(differ)}; ask for it "
                f"as it was begun, {_BEGIN_ANEW}"
            )
        self._rows = found.rows
        return True

    def rows(self, describe: Callable[[], tuple[LabelledArrays, str]]) -> tuple[LabelledArrays, str]:
        """Return the described rows and what they are in words, from the folder if it holds them.

        From here on the folder holds a training that can go on.

        Raises
        ------
        UnfinishedError
            If they are not there any more, and come out otherwise now.
        """
        if self._rows is not None:
            kept = _read_hops(self.folder / HOPS_NAME)
            if kept is not None and rows_digest(kept[0]) == self._rows:
                return kept
        rows, words = describe()
        digest = rows_digest(rows)
        if self._rows not in {None, digest}:
            raise UnfinishedError(
                f"the hops that {self.folder} was begun with are lost or damaged, and described again they "
                f"are not the same; {_BEGIN_ANEW}"
            )
        write_atomically(self.folder / HOPS_NAME, _hops_bytes(rows, words))
        self._rows = digest
        self._write()
        return rows, words

    def clear(self) -> None:
        """Throw away what the folder holds, so that another training can be begun in it."""
        for name in (MANIFEST_NAME, HOPS_NAME):
            (self.folder / name).unlink(missing_ok=True)
        shutil.rmtree(self.folder / FITS_NAME, ignore_errors=True)
        self._rows = None

    def finish(self) -> None:
        """Remove the folder: the training stands."""
        shutil.rmtree(self.folder)

    def _read(self) -> _Manifest | None:
        file = self.folder / MANIFEST_NAME
        if not file.is_file():
            return None
        try:
            found = _Manifest.model_validate_json(file.read_bytes())
        except ValidationError as error:
            raise UnfinishedError(f"{file} cannot be read as what it should be; {_BEGIN_ANEW}") from error
        if found.format != FORMAT:
            raise UnfinishedError(f"{file} has format {found.format}, this version {FORMAT}; {_BEGIN_ANEW}")
        return found

    def _write(self) -> None:
        manifest = _Manifest(format=FORMAT, asked=self.asked, rows=self._rows)
        write_atomically(self.folder / MANIFEST_NAME, (manifest.model_dump_json(indent=1) + "\n").encode())


@contextmanager
def unfinished(folder: Path, asked: dict[str, Any], *, fresh: bool = False) -> Iterator[Unfinished]:
    """Open a training's folder for this process alone; what it holds stays when the body fails.

    Parameters
    ----------
    folder : Path
        Made where it does not exist.
    asked : mapping of str to JSON values
        As for `Unfinished`.
    fresh : bool
        Whether to throw away what the folder holds of an earlier training.

    Raises
    ------
    UnfinishedError
        If another process trains there, or the folder holds something else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    others = [entry.name for entry in folder.iterdir() if not _is_ours(entry.name)]
    if others:
        raise UnfinishedError(
            f"{folder} would hold the unfinished training, and has other files in it, e.g. {others[0]}; move "
            "them, or give another --output"
        )
    lock = FileLock(folder / _LOCK_NAME)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UnfinishedError(
            f"another process trains in {folder}; wait for it, or give another --output"
        ) from error
    try:
        found = Unfinished(folder, asked)
        if fresh:
            found.clear()
        yield found
    finally:
        lock.release()
        # Nothing to go on with: it would only stand in the way of what is asked for next.
        if folder.is_dir() and not (folder / MANIFEST_NAME).is_file():
            shutil.rmtree(folder, ignore_errors=True)


def _is_ours(name: str) -> bool:
    return name in {MANIFEST_NAME, HOPS_NAME, FITS_NAME} or name.startswith(
        (_LOCK_NAME, f".{MANIFEST_NAME}-", f".{HOPS_NAME}-")
    )


def _differences(there: Any, here: Any, name: str = "") -> list[str]:  # noqa: ANN401 - JSON values
    """Return the fields in which two requests differ, each with both values."""
    if isinstance(there, dict) and isinstance(here, dict):
        found = []
        for key in sorted({*there, *here}):
            found += _differences(there.get(key), here.get(key), f"{name}.{key}" if name else key)
        return found
    return [] if there == here else [f"{name} was {there!r} and is now {here!r}"]


def _hops_bytes(rows: LabelledArrays, words: str) -> bytes:
    stream = io.BytesIO()
    np.savez(
        stream,
        allow_pickle=False,
        words=np.array(words),
        spec=np.array(rows.spec.model_dump_json()),
        barrier_ev=rows.barrier_ev,
        ids=np.array(rows.ids),
        hosts=np.array(rows.hosts),
        ions=np.array(rows.ions),
        methods=np.array(rows.methods),
        **{f"{_PREFIX}{name}": array for name, array in rows.inputs.items()},
    )
    return stream.getvalue()


def _read_hops(file: Path) -> tuple[LabelledArrays, str] | None:
    """Return the rows of a file that `_hops_bytes` made; None if it is absent or damaged."""
    try:
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as kept:
            rows = LabelledArrays(
                inputs={
                    name.removeprefix(_PREFIX): kept[name] for name in kept.files if name.startswith(_PREFIX)
                },
                barrier_ev=kept["barrier_ev"],
                ids=tuple(str(entry) for entry in kept["ids"]),
                hosts=tuple(str(entry) for entry in kept["hosts"]),
                ions=tuple(str(entry) for entry in kept["ions"]),
                methods=tuple(str(entry) for entry in kept["methods"]),
                spec=InputSpec.model_validate_json(str(kept["spec"])),
            )
            return rows, str(kept["words"])
    except (OSError, EOFError, zipfile.BadZipFile, KeyError, ValueError, ModelError):
        return None
