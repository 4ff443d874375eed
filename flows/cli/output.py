"""How commands print: a table that fits the terminal, or JSON for scripts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

DIGITS = 3
WIDTH_WITHOUT_TERMINAL = 160


def console() -> Console:
    """Return a console on standard output; wide enough for a table where no terminal says how wide it is."""
    found = Console()
    return found if found.is_terminal else Console(width=WIDTH_WITHOUT_TERMINAL)


def print_json(value: object) -> None:
    """Print a value as JSON; a number that is not finite becomes null."""
    print(json.dumps(finite(value), indent=2, ensure_ascii=False, default=str, allow_nan=False))


def finite(value: object) -> object:
    """Return a value with null in the place of every number that JSON cannot hold."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {str(key): finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(entry) for entry in value]
    return value


def cell(value: object, digits: int = DIGITS) -> str:
    """Return a value as a table shows it: rounded, a dash for what is unknown."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        # Rounded first: a value that rounds to nothing has no sign.
        return f"{round(value, digits) + 0.0:.{digits}f}"
    return str(value)


def print_table(
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, str],
    *,
    title: str | None = None,
    digits: Mapping[str, int] | None = None,
    whole: Collection[str] = (),
) -> None:
    """Print rows as a table; what stands in them is data, and never read as markup.

    Parameters
    ----------
    rows : sequence of mapping
        What to print.
    columns : mapping of str to str
        Keys of the rows, and the headings to show for them.
    title : str, optional
        Printed above.
    digits : mapping of str to int, optional
        Decimals of columns that need another number than three.
    whole : collection of str
        Columns that must not be wrapped.
    """
    heading_above = None if title is None else Text(title)
    table = Table(title=heading_above, title_justify="left", header_style="bold", pad_edge=False)
    for key, heading in columns.items():
        numeric = any(isinstance(row.get(key), (int, float)) for row in rows)
        table.add_column(
            Text(heading), justify="right" if numeric else "left", overflow="fold", no_wrap=key in whole
        )
    decimals = {} if digits is None else digits
    for row in rows:
        table.add_row(*(Text(cell(row.get(key), decimals.get(key, DIGITS))) for key in columns))
    console().print(table)
