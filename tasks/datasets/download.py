"""Downloads a file: resumed where it broke off, checked before it takes its place, over no edited one."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tasks.datasets.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

ATTEMPTS = 4
PAUSE_S = 0.5
TIMEOUT_S = 30.0
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
PARTIAL, RANGE_REFUSED, OK = 206, 416, 200


def nothing_to_tell(_done: int, _total: int) -> None:
    """Say nothing about how far a download is."""


def get_file(
    source: str,
    target: Path,
    *,
    sha256: str = "",
    force: bool = False,
    on_progress: Callable[[int, int], None] = nothing_to_tell,
    pause_s: float = PAUSE_S,
) -> bool:
    """Bring a file to its place, from an address or from this machine.

    What is on its way lies beside the place as `.NAME.part` and is gone on with when the same is asked again.

    Parameters
    ----------
    source : str
        An https address (http on this machine alone), or a file.
    target : Path
        Where it should stand.
    sha256 : str
        Its checksum; empty where none is known, and then nothing is compared.
    force : bool
        Whether a file there that is another one is replaced.
    on_progress : callable
        Told bytes done and bytes in all, 0 where nobody says.
    pause_s : float
        How long to wait before the second attempt; each later one waits twice as long.

    Returns
    -------
    bool
        Whether anything was written: False where the file stood there already.

    Raises
    ------
    DownloadError
        If another file stands there, the file cannot be had, or it is not the one that was published.
    """
    from filelock import FileLock

    if target.exists() and not force:
        if not sha256 or digest_of(target) == sha256:
            return False
        raise DownloadError(
            f"{target} is there and is not the published file: edited, perhaps. It was left as it is; "
            "--force replaces it."
        )
    made = not target.parent.exists()
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    lock = part.with_suffix(".lock")
    try:
        with FileLock(lock):
            if is_address(source):
                _download(source, part, sha256, on_progress, pause_s)
            else:
                _copy(Path(source), part)
            _refuse_other(part, source, sha256)
            _sync(part)
            part.replace(target)
    finally:
        lock.unlink(missing_ok=True)
        if made and not any(target.parent.iterdir()):
            target.parent.rmdir()
    return True


def is_address(source: str) -> bool:
    """Say whether a source is an address and not a file."""
    return "://" in source


def digest_of(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(source: Path, part: Path) -> None:
    try:
        shutil.copyfile(source, part)
    except OSError as error:
        raise DownloadError(
            f"--from {source}: cannot be read ({error}); give a file, a folder or https://..."
        ) from error


def _refuse_other(part: Path, source: str, sha256: str) -> None:
    """Refuse what came if it is not what was published, and drop it."""
    if not sha256:
        return
    found = digest_of(part)
    if found != sha256:
        part.unlink()
        raise DownloadError(
            f"{source}: the checksum is {found[:16]}..., and the published file has {sha256[:16]}...; "
            "nothing was kept. The source may have changed: get the file by hand and give it with --from"
        )


def _sync(part: Path) -> None:
    with part.open("rb") as file:
        os.fsync(file.fileno())


def _download(
    url: str, part: Path, sha256: str, on_progress: Callable[[int, int], None], pause_s: float
) -> None:
    """Download to a part file, going on where it broke off, a few times."""
    import httpx

    def refuse_plain_hop(request: httpx.Request) -> None:
        _refuse_plain(str(request.url), redirected_from=url)

    _refuse_plain(url)
    reason = ""
    # The hook is called with every hop of a redirect, before it is asked.
    hooks = {"request": [refuse_plain_hop]}
    with httpx.Client(timeout=TIMEOUT_S, follow_redirects=True, event_hooks=hooks) as client:
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(pause_s * 2.0 ** (attempt - 1))
            begun = part.stat().st_size if part.exists() else 0
            try:
                _attempt(client, url, part, on_progress)
            except httpx.HTTPStatusError as error:
                reason = f"the server answers {error.response.status_code}"
                if error.response.status_code < 500:  # noqa: PLR2004 - the server is well and has it not
                    break
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                reason = str(error) or type(error).__name__
            else:
                # What was resumed may be halves of two files: then the whole is asked for once more.
                if not (begun and sha256 and digest_of(part) != sha256):
                    return
                part.unlink()
                reason = "what was there already was part of another file"
    raise DownloadError(
        f"{url}: cannot be had ({reason}). Without a network, get the file elsewhere and give it with "
        "--from; what has come so far is kept, and the same command goes on from there."
    )


def _refuse_plain(url: str, redirected_from: str = "") -> None:
    """Refuse addresses that anybody on the way could answer for."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        said = f"{redirected_from} redirects to {url}" if redirected_from else url
        raise DownloadError(f"{said}: only https addresses are fetched from; give one, or a file")


def _attempt(client: httpx.Client, url: str, part: Path, on_progress: Callable[[int, int], None]) -> None:
    """Ask for what is still missing, and append it."""
    have = part.stat().st_size if part.exists() else 0
    # Identity: a compressed answer's length says nothing of the file's.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with client.stream("GET", url, headers=headers) as answer:
        if answer.status_code == RANGE_REFUSED and have:
            # There is no more: either all of it is here, or it is another file. The checksum will say.
            if answer.headers.get("Content-Range", "") == f"bytes */{have}":
                return
            part.unlink()
            raise _restarted(answer)
        answer.raise_for_status()
        resumed = answer.status_code == PARTIAL and _starts_at(answer) == have
        done = have if resumed else 0
        total = done + int(answer.headers.get("Content-Length", 0))
        with part.open("ab" if resumed else "wb") as file:
            # As it comes, not in chunks of one size: what has come is kept when the rest does not.
            for chunk in answer.iter_raw():
                file.write(chunk)
                done += len(chunk)
                on_progress(done, total)


def _starts_at(answer: httpx.Response) -> int:
    """Return the byte that a partial answer begins at; -1 where it does not say."""
    said = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(said) if said.isdecimal() else -1


def _restarted(answer: httpx.Response) -> httpx.HTTPError:
    import httpx

    return httpx.RemoteProtocolError("the file there is shorter than what was kept", request=answer.request)
