"""How the protocol server misbehaves: told by whoever shares the `Faults` object with it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from emmet.core.types.typing import format_identifier

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = Literal["status", "hang", "cut", "truncate", "html", "no_data", "short", "overlap"]
KINDS: tuple[Kind, ...] = ("status", "hang", "cut", "truncate", "html", "no_data", "short", "overlap")
HEARTBEAT, SUMMARY, ELECTRODES = "/heartbeat", "/materials/summary/", "/materials/insertion_electrodes/"
PATHS = {"heartbeat": HEARTBEAT, "summary": SUMMARY, "electrodes": ELECTRODES}


@dataclass
class Fault:
    """One way to misbehave, a number of times.

    Parameters
    ----------
    kind : str
        ``status`` an error status with its JSON body; ``hang`` no answer for `seconds`, then none at all;
        ``cut`` the connection closes in mid-body; ``truncate`` the JSON stops in mid-text, with a length that
        agrees; ``html`` a page where JSON should be; ``no_data`` an answer without `data`; ``short`` the last
        `documents` of the page are left out; ``overlap`` the page starts `documents` earlier.
    times : int or None
        Requests that it befalls; None is all of them.
    status : int
        Of ``status``.
    retry_after : int, float or str, optional
        Retry-After header of ``status``: seconds, or an HTTP date as it stands.
    seconds : float
        Of ``hang``.
    documents : int
        Of ``short`` and ``overlap``.
    path : str, optional
        Only requests for "heartbeat", "summary" or "electrodes"; None is the two with documents.
    page : int or "last", optional
        Only the page of that number, the first being 0, or the last one.
    after : int
        Requests that fit and are let through first.
    """

    kind: Kind
    times: int | None = 1
    status: int = 503
    retry_after: float | str | None = None
    seconds: float = 60.0
    documents: int = 2
    path: str | None = None
    page: int | Literal["last"] | None = None
    after: int = 0
    befallen: int = 0

    def fits(self, path: str, page: int | None, last_page: int | None) -> bool:
        """Say whether a request is one that it is meant for."""
        paths = {SUMMARY, ELECTRODES} if self.path is None else {PATHS[self.path]}
        wanted = last_page if self.page == "last" else self.page
        return path in paths and (self.page is None or page == wanted)


@dataclass
class Event:
    """Something to do when a request arrives, before it is answered."""

    action: Callable[[], object]
    path: str | None
    after: int
    done: bool = False


@dataclass
class Faults:
    """All that is wrong with a server now; nothing at first. Methods may be called from any thread."""

    faults: list[Fault] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    broken: dict[tuple[str, str], tuple[dict[str, Any], tuple[str, ...]]] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def add(self, fault: Fault) -> Fault:
        """Add a fault; return it, so that a test can ask how often it has befallen."""
        with self.lock:
            self.faults.append(fault)
        return fault

    def fail(self, status: int = 503, **more: Any) -> Fault:
        """Answer with an error status: 401, 403, 429, 500, 502, 503, 504 or any other."""
        return self.add(Fault("status", status=status, **more))

    def hang(self, seconds: float = 60.0, **more: Any) -> Fault:
        """Do not answer."""
        return self.add(Fault("hang", seconds=seconds, **more))

    def cut(self, **more: Any) -> Fault:
        """Close the connection in mid-body."""
        return self.add(Fault("cut", **more))

    def truncate(self, **more: Any) -> Fault:
        """Send half of the JSON."""
        return self.add(Fault("truncate", **more))

    def html(self, **more: Any) -> Fault:
        """Send a web page with status 200."""
        return self.add(Fault("html", **more))

    def no_data(self, **more: Any) -> Fault:
        """Leave `data` out."""
        return self.add(Fault("no_data", **more))

    def short(self, documents: int = 2, **more: Any) -> Fault:
        """Leave the last documents of a page out."""
        return self.add(Fault("short", documents=documents, **more))

    def overlap(self, documents: int = 2, **more: Any) -> Fault:
        """Start a page with documents that the page before ended with."""
        return self.add(Fault("overlap", documents=documents, **more))

    def malform(
        self, material_id: str, *, drop: tuple[str, ...] = (), put: dict[str, Any] | None = None,
        kind: Literal["summary", "electrodes"] = "summary",
    ) -> None:  # fmt: skip
        """Give a document without some fields, or with values that do not belong there, until cleared."""
        with self.lock:
            self.broken[kind, str(format_identifier(material_id, legacy=True))] = (dict(put or {}), drop)

    def then(self, action: Callable[[], object], *, after: int = 0, path: str | None = None) -> None:
        """Call something once when a request arrives, after so many that went before: a change in mid-pull.

        The request that triggers it sees what it did.
        """
        with self.lock:
            self.events.append(Event(action, path, after))

    def clear(self) -> None:
        """Behave again."""
        with self.lock:
            self.faults.clear()
            self.events.clear()
            self.broken.clear()

    def arrived(self, path: str) -> None:
        """Do what was to be done when a request arrives."""
        due: list[Event] = []
        with self.lock:
            for event in self.events:
                paths = {SUMMARY, ELECTRODES} if event.path is None else {PATHS[event.path]}
                if path in paths and not event.done:
                    event.done = event.after == 0
                    event.after -= 1
                    due += [event] if event.done else []
        for event in due:
            event.action()

    def befall(self, path: str, page: int | None, last_page: int | None) -> Fault | None:
        """Return the fault that this request meets, and count it."""
        with self.lock:
            for fault in self.faults:
                spent = fault.times is not None and fault.befallen >= fault.times
                if spent or not fault.fits(path, page, last_page):
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                fault.befallen += 1
                return fault
        return None

    def spoiled(self, kind: str, number: int, document: dict[str, Any], asked: frozenset[str] | None) -> Any:
        """Return a document as it is given: most as they are.

        Parameters
        ----------
        kind : str
            "summary" or "electrodes".
        number : int
            The material's.
        document : dict
            As it should be.
        asked : frozenset of str or None
            Fields that were asked for; only these are spoiled.
        """
        found = self.broken.get((kind, f"mp-{number}"))
        if found is None:
            return document
        put, drop = found
        more = {name: value for name, value in put.items() if asked is None or name in asked}
        return {name: value for name, value in (document | more).items() if name not in drop}
