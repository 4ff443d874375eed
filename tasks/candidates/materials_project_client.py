"""Talks to the Materials Project through its own client, patiently, and never lets the key out."""

from __future__ import annotations

import logging
import os
import threading
import time
import warnings
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from tasks.candidates.pauses import pause_s
from tasks.candidates.source import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasks.candidates.materials_project_session import CheckedSession

KEY_VARIABLES = ("LIHOP_MP_API_KEY", "MP_API_KEY", "PMG_MAPI_KEY")
ENDPOINT_VARIABLE = "LIHOP_MP_ENDPOINT"
KEY_LENGTH = 32
KEY_PAGE = "https://next-gen.materialsproject.org/api"
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
MOST_PER_ANSWER = 1000
"""Most documents of an answer: the database gives no more at a time."""

logger = logging.getLogger(__name__)
Result = TypeVar("Result")


class MaterialsProjectError(SourceError):
    """The Materials Project cannot be reached, or what it answers cannot be used."""


class ApiKeyError(MaterialsProjectError):
    """There is no key, or it is not accepted."""


class TooLongError(MaterialsProjectError):
    """The request is longer than the server takes."""


@dataclass(frozen=True)
class Patience:
    """How long to wait for the database, and how often to ask again.

    Parameters
    ----------
    attempts : int
        Most requests for one answer.
    first_wait_s : float
        Longest wait before the second; each may be twice the one before.
    longest_wait_s : float
        Longest wait of these.
    longest_retry_after_s : float
        Longest wait that the server may ask for.
    timeout_s : float
        Longest wait for a connection, and for the next part of an answer.
    """

    attempts: int = 6
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    longest_retry_after_s: float = 120.0
    timeout_s: float = 60.0

    def wait_s(self, attempt: int, retry_after_s: float | None) -> float:
        """Return the wait after a failed attempt, the first being 1; a random one where none is asked for."""
        if retry_after_s is not None:
            return min(retry_after_s, self.longest_retry_after_s)
        return pause_s(attempt, self.first_wait_s, self.longest_wait_s)


def read_api_key() -> str:
    """Return the key that the environment or pymatgen's settings hold.

    Raises
    ------
    ApiKeyError
        When there is none, or it cannot be one. The message does not hold it.
    """
    key, place = _given_key()
    if not key:
        raise ApiKeyError(
            f"no API key for the Materials Project: log in at {KEY_PAGE}, copy yours, and set it as "
            f"{KEY_VARIABLES[0]} in the environment (after it {KEY_VARIABLES[1]}, {KEY_VARIABLES[2]} and "
            "pymatgen's settings are looked at)"
        )
    plain = key.isascii() and key.isalnum()
    if plain and len(key) == KEY_LENGTH:
        return key
    length = len(key)
    # A traceback may be shown with the variables of its frames.
    del key
    raise ApiKeyError(
        f"{place} holds {length} characters{'' if plain else ', not all of them letters or digits'}; an API "
        f"key of the Materials Project has {KEY_LENGTH} letters and digits: copy yours from {KEY_PAGE}"
    )


def _given_key() -> tuple[str, str]:
    for name in KEY_VARIABLES:
        key = os.environ.get(name, "").strip()
        if key:
            return key, f"the environment's {name}"
    from pymatgen.core import SETTINGS

    return str(SETTINGS.get("PMG_MAPI_KEY") or "").strip(), "pymatgen's setting PMG_MAPI_KEY"


def read_endpoint() -> str:
    """Return where to ask, with a slash at the end; empty where the client's own default is meant.

    Raises
    ------
    MaterialsProjectError
        When the key would travel unprotected.
    """
    given = os.environ.get(ENDPOINT_VARIABLE, "").strip()
    if not given:
        return ""
    url = urlsplit(given)
    safe = url.scheme == "https" or (url.scheme == "http" and url.hostname in LOCAL_HOSTS)
    if not (safe and url.hostname) or url.username or url.password or url.query:
        raise MaterialsProjectError(
            f"what {ENDPOINT_VARIABLE} holds cannot be used; give https://HOST/ without user, password or "
            "query, or http for a server on this computer (127.0.0.1, localhost)"
        )
    return given if given.endswith("/") else f"{given}/"


@cache
def _quick(kind: type[Any]) -> type[Any]:
    """Return a part of the client that works its fields out once, and not for each field of each request."""
    names = list(kind.document_model.model_json_schema()["properties"])
    return type(kind.__name__, (kind,), {"available_fields": names})


class Connection:
    """The Materials Project's client, with its key.

    Parameters
    ----------
    patience : Patience
        How long to wait, and how often to ask again.
    sleep : callable
        How to wait.
    """

    def __init__(self, patience: Patience, sleep: Callable[[float], None] = time.sleep) -> None:
        self.endpoint = read_endpoint()
        self._key = read_api_key()
        self._patience = patience
        self._sleep = sleep
        self._session: CheckedSession | None = None
        self._resters: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"Connection to {self.endpoint or 'the Materials Project'}"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a connection holds an API key and is not pickled; pickle the source")

    def version(self) -> str:
        """Return the version that the database states now, which the client would remember from earlier.

        Raises
        ------
        MaterialsProjectError
            When it states none.
        """
        return self.attempt("the database's version", self._heartbeat)

    def search(
        self, route: str, filters: dict[str, Any], fields: Sequence[str], *, page: int = 1, size: int
    ) -> tuple[list[Any], int]:
        """Return one page of documents as the server gives them, and how many there are in all.

        One attempt: call it from within `attempt`, with what the documents must agree with.
        """
        rester = self._connected()[route]
        # A page's number goes with one value for each filter; ids are asked for a page at a time anyway.
        paged = {} if "material_ids" in filters else {"_page": page}
        found = rester.search(
            **filters, **paged, fields=list(fields), chunk_size=size, num_chunks=1, all_fields=False
        )
        total = None if self._session is None else self._session.total
        return list(found), len(found) if total is None else total

    def attempt(self, what: str, call: Callable[[], Result]) -> Result:
        """Return what a call gives, calling it again as long as patience lasts.

        Raises
        ------
        MaterialsProjectError
            When it does not succeed. Nothing of what the client raised travels with it.
        """
        attempt = 0
        while True:
            attempt += 1
            result, failure = self._once(call)
            if failure is None:
                return result  # type: ignore[return-value]
            if not failure.passing or attempt >= self._patience.attempts:
                break
            wait_s = self._patience.wait_s(attempt, failure.retry_after_s)
            logger.warning("%s: %s; asking again in %g s", what, failure.words, wait_s)
            self._sleep(wait_s)
        raise self._final(what, failure, attempt)

    @staticmethod
    def _final(what: str, failure: Failure, attempts: int) -> MaterialsProjectError:
        if failure.status in {401, 403}:
            return ApiKeyError(
                f"{what}: the Materials Project refused the API key, {failure.words}; check it at {KEY_PAGE} "
                f"and set it as {KEY_VARIABLES[0]} in the environment"
            )
        if failure.status == 414:  # noqa: PLR2004 - URI too long
            return TooLongError(f"{what}: the request is too long for the server; ask for fewer at a time")
        if failure.passing:
            return MaterialsProjectError(
                f"{what}: {failure.words}, {attempts} times; try again later, what is stored is kept"
            )
        return MaterialsProjectError(
            f"{what}: {failure.words}, which asking again does not change; check the query and the endpoint"
        )

    def _once(self, call: Callable[[], Result]) -> tuple[Result | None, Failure | None]:
        from tasks.candidates.materials_project_session import AnswerError

        try:
            with warnings.catch_warnings():
                # The client warns of its own plans, and of servers a little older than itself.
                warnings.simplefilter("ignore")
                return call(), None
        except AnswerError as error:
            return None, Failure(self._scrubbed(str(error)), error.status, error.passing, error.retry_after_s)
        except SourceError:
            raise
        except Exception as error:  # noqa: BLE001 - what the client may raise is no one's list
            return None, self._failure(error)

    def _failure(self, error: Exception) -> Failure:
        """Put what the client raised in words: exceptions of its own hold requests, and those the key."""
        import requests

        cause = error if isinstance(error, OSError) else error.__context__
        if isinstance(cause, requests.Timeout) or "timed out" in str(cause):
            return Failure(f"no answer within {self._patience.timeout_s:g} s", None, passing=True)
        if isinstance(cause, OSError):
            if "timed out" in str(cause).lower():
                return Failure(
                    f"an answer that stalled for {self._patience.timeout_s:g} s", None, passing=True
                )
            return Failure(f"the connection failed ({type(cause).__name__})", None, passing=True)
        words = f"an error of the client ({type(error).__name__}: {self._scrubbed(str(error))})"
        return Failure(words, None, passing=False)

    def _scrubbed(self, text: str) -> str:
        return text.replace(self._key, "***")[:400]

    def _connected(self) -> dict[str, Any]:
        if not self._resters:
            from mp_api.client import MPRester
            from mp_api.client.routes.materials.electrodes import ElectrodeRester
            from mp_api.client.routes.materials.summary import SummaryRester

            from tasks.candidates.materials_project_session import CheckedSession

            self._session = CheckedSession(self._patience.timeout_s)
            make = partial(
                MPRester,
                self._key,
                endpoint=self.endpoint or None,
                session=self._session,
                use_document_model=False,
                mute_progress_bars=True,
            )
            # It asks for the version and would wait for ever: so first with an end to waiting, then in time.
            self._heartbeat()
            client = self._within_time(make)
            kinds = {"summary": SummaryRester, "electrodes": ElectrodeRester}
            self._resters = {
                route: _quick(kind)(
                    api_key=self._key,
                    endpoint=client.endpoint,
                    session=client.session,
                    use_document_model=False,
                    mute_progress_bars=True,
                )
                for route, kind in kinds.items()
            }
        return self._resters

    def _within_time(self, make: Callable[[], Result]) -> Result:
        import requests

        found: list[Result] = []
        errors: list[Exception] = []

        def run() -> None:
            try:
                found.append(make())
            except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
                errors.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(self._patience.timeout_s)
        if errors:
            raise errors[0]
        if not found:
            raise requests.Timeout
        return found[0]

    def _heartbeat(self) -> str:
        import requests

        from tasks.candidates.materials_project_session import AnswerError, read_answer

        where = self.endpoint
        if not where:
            from mp_api.client.core.utils import validate_endpoint

            where = validate_endpoint(None)
        # Without the key, which the heartbeat does not ask for.
        answer = requests.get(f"{where}heartbeat", timeout=self._patience.timeout_s, allow_redirects=False)
        version = read_answer(answer).get("db_version")
        if not isinstance(version, str) or not version:
            raise AnswerError("an answer without the database's version (db_version)")
        if self._key in version:
            raise AnswerError("an answer that repeats the API key", passing=False)
        return version


@dataclass(frozen=True)
class Failure:
    """Why an attempt failed, in words without the key."""

    words: str
    status: int | None
    passing: bool
    retry_after_s: float | None = None
