"""What is wrong with a data set, in plain types: how bad it is, what was found, where, and what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
SHOWN = 6


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Parameters
    ----------
    severity : {"error", "warning", "note"}
        An error keeps the data set from being used as it stands; a warning is for people to judge; a note
        is for them to know.
    check : str
        What was looked at, in a few words.
    message : str
        What was found, and what to do about it.
    ids : tuple of str
        Hops or files that it is about.
    """

    severity: Severity
    check: str
    message: str
    ids: tuple[str, ...] = ()

    def row(self) -> dict[str, Any]:
        """Return it in plain types, with the number of hops it is about."""
        return asdict(self) | {"count": len(self.ids), "ids": list(self.ids)}


def some(ids: Sequence[str], shown: int = SHOWN, between: str = ", ") -> str:
    """Return a few of the names, and how many more there are."""
    rest = len(ids) - shown
    return between.join(ids[:shown]) + (f" and {rest} more" if rest > 0 else "")


def has_errors(findings: Iterable[Finding]) -> bool:
    """Say whether one of the findings is an error."""
    return any(finding.severity == "error" for finding in findings)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings, the worst first."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))
