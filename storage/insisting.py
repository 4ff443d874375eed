"""Asking an object store again where that can help, and saying in words what is wrong where it cannot."""

from __future__ import annotations

import errno
import random
import re
import time
from typing import TYPE_CHECKING, TypeVar

from storage.errors import FolderError
from storage.folder_names import CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Callable

R = TypeVar("R")

ATTEMPTS = 7
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 8.0

_NO_BUCKET = re.compile(
    r"NO_SUCH_BUCKET|NoSuchBucket|ContainerNotFound|bucket does not exist|The specified (bucket|container)",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"ACCESS_DENIED|AccessDenied|FORBIDDEN|HTTP status 40[13]|INVALID_ACCESS_KEY_ID|SIGNATURE_DOES_NOT_MATCH|"
    r"INVALID_CLIENT_TOKEN_ID|EXPIRED_TOKEN|ExpiredToken|UNRECOGNIZED_CLIENT|MISSING_AUTHENTICATION_TOKEN|"
    r"PERMISSION_DENIED|UNAUTHENTICATED|AuthorizationFailure|AuthenticationFailed|No credentials|anonymous",
    re.IGNORECASE,
)
_UNREACHABLE = re.compile(
    r"NETWORK_CONNECTION|curlCode|Couldn't (connect|resolve)|Connection (refused|reset)|timed? ?out",
    re.IGNORECASE,
)
_HOPELESS = re.compile(r"HTTP status 4(?!08|29)\d\d|VALIDATION|INVALID_(PARAMETER|QUERY)|Unable to load lib")


def insist(call: Callable[[], R], folder: str) -> R:
    """Return what a call to a store returns, made again while its error may pass.

    Pauses grow, and are drawn at random: those that a store slowed down would otherwise come back at once.

    Parameters
    ----------
    call : callable
        Asks the store.
    folder : str
        The folder that it is about, for messages.

    Raises
    ------
    FileNotFoundError
        When the file is not there.
    FolderError
        When the store refuses, or still fails after so many attempts.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return call()
        except FileNotFoundError:
            raise
        # Arrow's own errors, of a URI that it does not like say, are values.
        except (OSError, ValueError) as error:
            if attempt == ATTEMPTS or _in_vain(error):
                raise FolderError(_said(error, folder)) from None
        longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (attempt - 1))
        time.sleep(longest * random.uniform(0.5, 1.0))  # noqa: S311 - nobody need fail to guess it
    raise FolderError(f"the results folder {folder} was asked for nothing")


def _in_vain(error: Exception) -> bool:
    """Tell whether to ask again would come to the same."""
    said = str(error)
    return (
        not isinstance(error, OSError)
        or isinstance(error, PermissionError | NotADirectoryError | IsADirectoryError)
        or error.errno in {errno.EACCES, errno.EPERM, errno.ENOSPC}
        or any(pattern.search(said) is not None for pattern in (_NO_BUCKET, _DENIED, _HOPELESS))
    )


def _said(error: Exception, folder: str) -> str:
    """Return what is wrong with a folder and what to do."""
    reason = str(error).strip().partition("\n")[0].rstrip(". ")
    if _NO_BUCKET.search(reason):
        return f"the bucket of the results folder {folder} is not there; make it, or give another: {reason}"
    if isinstance(error, PermissionError) or _DENIED.search(reason):
        return (
            f"the results folder {folder} may not be used: {reason}. Writing, reading, listing and deleting "
            f"are needed; {CREDENTIALS}"
        )
    if _UNREACHABLE.search(reason):
        return (
            f"the results folder {folder} cannot be reached: {reason}. Look after the network, "
            "endpoint_override and scheme, then run the same again: what was done is kept"
        )
    return f"the results folder {folder} cannot be used: {reason}. Run the same again: what was done is kept"
