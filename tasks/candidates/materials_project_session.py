"""The HTTP session that the Materials Project's client is given: it bounds waits and checks each answer.

The client itself passes over a missing count, cuts pages to it, and follows redirects with the key in a
header. A session is what it lets a user bring.
"""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import Any

import orjson
import requests

PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
KEY_HEADER = "x-api-key"


class AnswerError(Exception):
    """An answer that cannot be used.

    Parameters
    ----------
    words : str
        What is wrong with it.
    status : int, optional
        Its status, where that says what is wrong.
    passing : bool
        Whether another attempt may succeed.
    retry_after_s : float, optional
        How long the server asks to wait.
    """

    def __init__(
        self,
        words: str,
        *,
        status: int | None = None,
        passing: bool = True,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(words)
        self.status = status
        self.passing = passing
        self.retry_after_s = retry_after_s


class CheckedSession(requests.Session):
    """A session that gives up in time, follows no redirect and lets only whole answers through.

    Parameters
    ----------
    timeout_s : float
        Longest wait for a connection, and for the next part of an answer.
    """

    def __init__(self, timeout_s: float) -> None:
        super().__init__()
        self.timeout_s = timeout_s
        self.total: int | None = None

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # noqa: ANN401
        """Send a request; remember how many documents the database says that there are.

        Raises
        ------
        AnswerError
            For an error status, what is no JSON, an answer without documents or their number, or one that
            repeats the key, which would be stored with it.
        """
        # The client's own timeout cannot be set, and with a redirect the key would go wherever it points.
        kwargs |= {"timeout": self.timeout_s, "allow_redirects": False}
        self.total = None
        answer = super().send(request, **kwargs)
        body = read_answer(answer)
        _refuse_key(answer, request.headers.get(KEY_HEADER), body)
        meta = body.get("meta")
        total = meta.get("total_doc") if isinstance(meta, dict) else None
        if not isinstance(body.get("data"), list):
            raise AnswerError("an answer without its list 'data'")
        if not isinstance(total, int) or isinstance(total, bool) or total < 0:
            raise AnswerError("an answer that does not say how many documents there are (meta.total_doc)")
        self.total = total
        return answer


def read_answer(answer: requests.Response) -> dict[str, Any]:
    """Return the JSON object that an answer holds.

    Raises
    ------
    AnswerError
        When it holds none, or has an error status.
    """
    if answer.status_code != requests.codes.ok:
        status = answer.status_code
        raise AnswerError(
            f"status {status} ({_reason(answer)})",
            status=status,
            passing=status in PASSING,
            retry_after_s=retry_after_s(answer.headers.get("Retry-After")),
        )
    try:
        body = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        start = answer.content.lstrip()[:1]
        said = "a web page where JSON should be" if start == b"<" else "JSON that breaks off or is none"
        raise AnswerError(said) from None
    if not isinstance(body, dict):
        raise AnswerError(f"JSON that is a {type(body).__name__} where an object should be")
    return body


def _refuse_key(answer: requests.Response, key: str | bytes | None, body: dict[str, Any]) -> None:
    if not key:
        return
    given = key if isinstance(key, bytes) else key.encode()
    # Letters may be escaped, and then are what they stand for in what is read.
    if given in answer.content or (b"\\u" in answer.content and given in orjson.dumps(body)):
        raise AnswerError("an answer that repeats the API key", passing=False)


def retry_after_s(header: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for; None where it is missing or makes no sense."""
    if header is None:
        return None
    try:
        return max(float(header), 0.0) if header.strip().isdigit() or "." in header else _until(header)
    except (ValueError, TypeError):
        return None


def _until(date: str) -> float:
    return max(parsedate_to_datetime(date).timestamp() - time.time(), 0.0)


def _reason(answer: requests.Response) -> str:
    """Return what the server says of an error, whole: who cuts it first takes out what must not be told."""
    try:
        body = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        return str(answer.reason)
    said = body.get("detail", body.get("message")) if isinstance(body, dict) else None
    return str(answer.reason if said is None else said)
