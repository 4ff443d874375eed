"""Asks an OPTIMADE database a page at a time, by optimade-python-tools' client, with bounds and patience."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin, urlsplit

from tasks.candidates.pauses import pause_s
from tasks.candidates.source import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from requests import Response

ATTEMPTS = 4
RETRIED = frozenset({429, 500, 502, 503, 504})
CONNECT_S, READ_S, ANSWER_S = 10.0, 60.0, 300.0
LONGEST_WAIT_S = 30.0
MAX_ANSWER_BYTES = 200_000_000
MAX_RESULTS = 1_000_000_000
"""The client compares the number of its requests with it, and breaks where it is not set."""

EXTRA = "the source 'optimade' needs optimade-python-tools: pip install 'lihop[optimade]'"


@dataclass(frozen=True)
class Page:
    """One answer.

    Parameters
    ----------
    data : list or mapping
        Documents, or of the endpoint ``info`` its one.
    meta : mapping
        What the server says of itself and of the answer.
    next_url : str or None
        Where the next page is; None after the last.
    """

    data: Any
    meta: Mapping[str, Any]
    next_url: str | None


@dataclass(frozen=True)
class _Answer:
    """What the client reads of a response."""

    url: str
    status_code: int
    content: bytes
    payload: Any

    def json(self) -> Any:  # noqa: ANN401 - whatever the server sent
        return self.payload


class _PassingError(Exception):
    """Something that may be otherwise a moment later."""

    def __init__(self, message: str, retry_after: str | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


def check_filter(text: str) -> None:
    """Raise for a filter that is not in OPTIMADE's grammar, before anything is sent.

    Raises
    ------
    SourceError
        With what is wrong, or when the extra is not installed.
    """
    try:
        from optimade.exceptions import BadRequest
        from optimade.filterparser import LarkParser
    except ImportError as error:
        raise SourceError(EXTRA) from error
    try:
        LarkParser().parse(text)
    except BadRequest as error:
        why = " ".join(str(error.detail or error).split())[:300]
        raise SourceError(f"{text!r} is no OPTIMADE filter ({why}); correct it") from error


def ask(
    base_url: str,
    endpoint: str,
    *,
    filter_text: str = "",
    fields: Sequence[str] | None = None,
    page_limit: int | None = None,
    next_url: str | None = None,
    wait_s: float = 1.0,
) -> Page:
    """Return one page of an endpoint.

    Parameters
    ----------
    base_url : str
        Where the database answers, without the version.
    endpoint : str
        ``structures`` or ``info``.
    filter_text : str, optional
        OPTIMADE filter.
    fields : sequence of str, optional
        Fields that documents are to have.
    page_limit : int, optional
        Most documents of the page.
    next_url : str, optional
        The page that an earlier one named, in place of the first.
    wait_s : float, optional
        First pause between attempts, which then doubles.

    Raises
    ------
    SourceError
        When the database cannot be reached, says so, or answers what is no OPTIMADE.
    """
    try:
        from optimade.client import OptimadeClient
    except ImportError as error:
        raise SourceError(EXTRA) from error

    failed: list[SourceError] = []
    client = OptimadeClient(
        base_urls=[base_url],
        max_results_per_provider=MAX_RESULTS,
        use_async=False,
        silent=True,
        http_client=_session(base_url, wait_s, failed),
    )
    found = client.get_one(
        endpoint,
        # The client puts it into the URL as it is, where an ampersand would end it.
        quote(filter_text, safe=""),
        base_url,
        response_fields=None if fields is None else list(fields),
        page_limit=page_limit,
        paginate=False,
        override_url=next_url,
    )[base_url]
    if failed:
        # The client keeps of an error its text alone.
        raise failed[0]
    if found.errors:
        raise SourceError(f"{base_url}: {_errors(found.errors)}")
    return Page(found.data, found.meta, _next_url(base_url, found.links))


def _session(base_url: str, wait_s: float, failed: list[SourceError]) -> type:
    """Return the class whose instance the client makes to fetch a page.

    The client's own repeats a 429 without end, takes an answer without data for an empty one, and reads
    whatever is sent.
    """
    import requests

    class Patient(requests.Session):
        """Fetches with bounds and patience."""

        def get(self, url: str, **_options: object) -> _Answer:  # type: ignore[override]
            def once() -> _Answer:
                with super(Patient, self).get(url, timeout=(CONNECT_S, READ_S), stream=True) as response:
                    content = _content(base_url, response)
                    again = response.headers.get("Retry-After")
                    return _checked(base_url, url, response.status_code, content, again)

            try:
                return _patiently(once, base_url, wait_s, requests.RequestException)
            except SourceError as error:
                failed.append(error)
                raise

    return Patient


def _patiently(
    once: Callable[[], _Answer], base_url: str, wait_s: float, passing: type[Exception]
) -> _Answer:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return once()
        except (_PassingError, passing) as error:
            if attempt == ATTEMPTS:
                why = " ".join(str(error).split())[:300]
                raise SourceError(
                    f"{base_url} cannot be used ({why}; tried {ATTEMPTS} times); try again later, or leave "
                    "the database out"
                ) from error
            time.sleep(_pause(error, attempt, wait_s))
    raise SourceError(f"{base_url} was not asked")


def _content(base_url: str, response: Response) -> bytes:
    """Return what was sent, as long as it comes from where it may and ends within the bounds."""
    begun = time.monotonic()
    for hop in (*response.history, response):
        if not is_allowed(hop.url):
            raise SourceError(f"{base_url} leads to {hop.url[:200]}; only https is followed")
    content = bytearray()
    for piece in response.iter_content(1 << 16):
        content += piece
        if len(content) > MAX_ANSWER_BYTES:
            most = f"more than {MAX_ANSWER_BYTES / 1e6:g} MB"
            raise SourceError(f"{base_url} sends {most} in one answer; ask for fewer entries")
        if time.monotonic() - begun > ANSWER_S:
            raise _PassingError(f"an answer took more than {ANSWER_S:g} s")
    return bytes(content)


def is_allowed(url: str) -> bool:
    """Say whether a URL may be asked: https, or http on this computer, and no password in it."""
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        return False  # it would stand in ids, citations and the database
    local = parts.hostname in {"127.0.0.1", "localhost", "::1"}
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and local))


def _pause(error: Exception, attempt: int, wait_s: float) -> float:
    asked = getattr(error, "retry_after", None)
    if isinstance(asked, str) and asked.strip().isdecimal():
        return min(float(asked), LONGEST_WAIT_S)
    return pause_s(attempt, wait_s, LONGEST_WAIT_S)


def _checked(base_url: str, url: str, status: int, content: bytes, retry_after: str | None) -> _Answer:
    """Return an answer that is what OPTIMADE says an answer is.

    Raises
    ------
    SourceError
        When it is not, or says that the request was wrong.
    """
    try:
        payload = json.loads(content)
    except ValueError as error:
        start = content[:60].decode("utf-8", errors="replace")
        # A page in HTML is what proxies send for a while; a cut answer comes whole the next time.
        raise _PassingError(f"status {status}, and no JSON but {start!r}") from error
    errors = payload.get("errors") if isinstance(payload, dict) else None
    said = f": {_errors(errors)}" if errors else ""
    if status in RETRIED:
        raise _PassingError(f"status {status}{said}", retry_after)
    if status != 200 or errors:  # noqa: PLR2004 - the one status of success that OPTIMADE has
        raise SourceError(
            f"{base_url} refuses the request with status {status}{said}; correct the filter or the URL"
        )
    if not isinstance(payload, dict) or "data" not in payload or not isinstance(payload.get("meta"), dict):
        raise SourceError(
            f"{base_url} answers without 'data' and 'meta'; is it the base URL of an OPTIMADE API?"
        )
    return _Answer(url, status, content, payload)


def _errors(errors: object) -> str:
    some = errors if isinstance(errors, list) else [errors]
    texts = [
        " - ".join(str(one[key]) for key in ("title", "detail") if one.get(key))
        if isinstance(one, dict)
        else str(one)
        for one in some
    ]
    return "; ".join(texts)[:500]


def _next_url(base_url: str, links: Mapping[str, Any]) -> str | None:
    """Return where the next page is, by the way that the first one came.

    Raises
    ------
    SourceError
        When it is on another computer.
    """
    link = links.get("next")
    href = link.get("href") if isinstance(link, dict) else link
    if not href:
        return None
    base, there = urlsplit(base_url), urlsplit(urljoin(f"{base_url}/v1/structures", str(href)))
    if there.hostname != base.hostname:
        raise SourceError(f"{base_url} names {there.geturl()[:200]} as its next page, which is elsewhere")
    # Servers behind a proxy name the scheme and the port that they see themselves.
    return there._replace(scheme=base.scheme, netloc=base.netloc).geturl()
