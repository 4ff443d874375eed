"""Why a Prefect server cannot be talked to, in words that hold no password."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from flows.orchestration.errors import OrchestrationError

if TYPE_CHECKING:
    from httpx import TransportError
    from prefect.exceptions import PrefectHTTPStatusError

API, AUTH = "PREFECT_API_URL", "PREFECT_API_AUTH_STRING"
REFUSALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


def without_password(url: str) -> str:
    """Return a URL without the name and the password that it may hold.

    Parameters
    ----------
    url : str
        A URL.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def unreachable(api: str, error: TransportError | PrefectHTTPStatusError) -> OrchestrationError:
    """Return an error that says why a server does not do what it is asked, and what to do.

    Parameters
    ----------
    api : str
        The server's API.
    error : Exception
        What Prefect's client raised.
    """
    from prefect.exceptions import PrefectHTTPStatusError

    where = without_password(api)
    if isinstance(error, PrefectHTTPStatusError) and error.response.status_code in REFUSALS:
        return OrchestrationError(
            f"the Prefect server at {where} refused the password: set {AUTH} to the name and password "
            "that the server was started with, as NAME:PASSWORD (its PREFECT_SERVER_API_AUTH_STRING)"
        )
    # The first line of an error, or its kind where it says nothing.
    words = str(error).split("\n", maxsplit=1)[0].replace(api, where) or type(error).__name__
    return OrchestrationError(
        f"the Prefect server at {where} does not answer as it should: {words}. Start it by `lihop serve` or "
        f"`prefect server start`, or correct {API}"
    )
