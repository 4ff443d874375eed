"""Gets the files of a published data set: from where its authors put them, or where the user has them."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.datasets.download import digest_of, get_file, is_address, nothing_to_tell
from tasks.datasets.errors import DatasetError, DownloadError
from tasks.datasets.registry import PUBLISHED, DataFile, DataSet, is_own, target_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Fetched:
    """What became of one file.

    Parameters
    ----------
    name : str
        The file.
    path : Path or None
        Where it stands; None where it could not be had and is not needed.
    state : str
        ``fetched``, ``kept`` or ``no download``.
    sha256 : str
        Its checksum.
    checked : bool
        Whether that is the published one; False where none is published.
    """

    name: str
    path: Path | None
    state: str
    sha256: str = ""
    checked: bool = False


def fetch(
    name: str,
    data_dir: str | None = None,
    *,
    source: str | None = None,
    force: bool = False,
    on_progress: Progress = nothing_to_tell,
) -> list[Fetched]:
    """Get every file of a data set into `DATA_DIR/NAME`.

    Parameters
    ----------
    name : str
        A published data set.
    data_dir : str, optional
        The data folder; LIHOP_DATA_DIR or ./data unless given.
    source : str, optional
        Where to get the files instead: a folder, a zip file where the data set is published as one, or an
        address that the files' published names are put behind.
    force : bool
        Whether files that were edited are replaced.
    on_progress : callable
        Told bytes done and bytes in all.

    Raises
    ------
    DatasetError
        If there is no such data set to fetch.
    DownloadError
        If a file that is needed cannot be had.
    """
    if name not in PUBLISHED:
        why = "your own data sets come by lihop data add" if is_own(name) else "there is no such data set"
        raise DatasetError(f"{name}: {why}; to fetch there are {', '.join(PUBLISHED)}")
    known = PUBLISHED[name]
    folder = target_folder(data_dir)
    folder = folder if folder.name == name else folder / name
    if known.archive is not None:
        return _fetch_archive(known, known.archive, folder, source, on_progress, force=force)
    return [_fetch_one(file, folder, source, on_progress, force=force) for file in known.files]


def _fetch_one(
    file: DataFile, folder: Path, source: str | None, on_progress: Progress, *, force: bool
) -> Fetched:
    """Get one file; one that is not needed and has no address is left out."""
    target = folder / file.name
    place = _place(file, source)
    if place is None and not target.exists():
        return Fetched(file.name, None, "no download")
    written = place is not None and get_file(
        place, target, sha256=file.sha256, force=force, on_progress=on_progress
    )
    digest = digest_of(target)
    return Fetched(
        file.name,
        target,
        "fetched" if written else "kept",
        digest,
        bool(file.sha256) and digest == file.sha256,
    )


def _place(file: DataFile, source: str | None) -> str | None:
    """Return where a file comes from; None for one that is not needed and is nowhere."""
    if source is None:
        return file.url or None
    published = file.url.rpartition("/")[2]
    if is_address(source):
        return f"{source.rstrip('/')}/{published}" if published else None
    root = Path(source).expanduser()
    names = [file.name, *([published] if published else [])]
    if root.is_file() and root.name in names:
        return str(root)
    for name in names:
        if (root / name).is_file():
            return str(root / name)
    if not file.needed:
        return None
    raise DownloadError(f"--from {source}: no {' or '.join(names)} there; give the folder that holds it")


def _fetch_archive(
    known: DataSet, archive: DataFile, folder: Path, source: str | None, on_progress: Progress, *, force: bool
) -> list[Fetched]:
    """Get a data set that is published as one zip file, and unpack it in one step."""
    if all((folder / file.name).is_file() for file in known.files) and not force:
        return [Fetched(file.name, folder / file.name, "kept") for file in known.files]
    if folder.exists() and not force:
        raise DownloadError(
            f"{folder} is there and lacks files of {known.name}; --force puts all of them there and leaves "
            "others as they are"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    place = archive.url if source is None else _archive_place(archive, source)
    packed = folder.parent / archive.name
    # What lay there before is the user's, and stays.
    if force and packed.exists():
        packed = packed.with_name(f".{archive.name}.new")
    ours = get_file(place, packed, sha256=archive.sha256, force=force, on_progress=on_progress)
    try:
        digest = digest_of(packed)
        _unpack(packed, known.name, folder)
    finally:
        if ours:
            packed.unlink()
    return [
        Fetched(archive.name, None, "fetched", digest, bool(archive.sha256)),
        *(Fetched(file.name, folder / file.name, "fetched") for file in known.files),
    ]


def _archive_place(archive: DataFile, source: str) -> str:
    if is_address(source):
        return source if source.endswith(".zip") else f"{source.rstrip('/')}/{archive.name}"
    path = Path(source).expanduser()
    found = path / archive.name if path.is_dir() else path
    if not found.is_file():
        raise DownloadError(f"--from {source}: no {archive.name} there; give it or the folder that holds it")
    return str(found)


def _unpack(packed: Path, name: str, folder: Path) -> None:
    """Unpack a zip file beside its place, and move what it holds there, over files of the same names."""
    draft = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=folder.parent))
    try:
        draft.chmod(0o755)
        try:
            with zipfile.ZipFile(packed) as archive:
                archive.extractall(_safe(archive, draft))
        except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError) as error:
            raise DownloadError(
                f"{packed} is no whole zip file ({error}); remove it and fetch it again"
            ) from error
        inside = draft / name if (draft / name).is_dir() else draft
        known = PUBLISHED[name]
        missing = [file.name for file in known.files if file.needed and not (inside / file.name).is_file()]
        if missing:
            raise DownloadError(f"{packed.name} holds no {', '.join(missing)}: it is not {name} as published")
        if folder.exists():
            _replace_files(inside, folder)
        else:
            inside.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _replace_files(inside: Path, folder: Path) -> None:
    """Move files into a folder one by one, each in one step: what else is there is the user's, and stays."""
    files = sorted(path for path in inside.rglob("*") if path.is_file())
    targets = [folder / path.relative_to(inside) for path in files]
    for target in targets:
        between = [parent for parent in target.parents if parent.is_relative_to(folder)]
        wrong = [parent for parent in between if parent.exists() and not parent.is_dir()]
        if target.is_dir() or wrong:
            at = wrong[0] if wrong else target
            what = (
                "a file where the archive has a folder" if wrong else "a folder where the archive has a file"
            )
            raise DownloadError(f"{at} is {what}; move it elsewhere and fetch again. Nothing was replaced.")
    for path, target in zip(files, targets, strict=True):
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)


def _safe(archive: zipfile.ZipFile, draft: Path) -> Path:
    """Refuse an archive whose members would land elsewhere."""
    root = draft.resolve()
    for member in archive.namelist():
        if not (root / member).resolve().is_relative_to(root):
            raise DownloadError(f"its member {member!r} points outside of the folder; nothing was unpacked")
    return draft
