"""Writes the answers into docs/questions.md: `python -m tests.storage.question_page FILE DATABASE`.

The page is written by hand but for the tables below its statements, which are what the database answers.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from storage import queries

# A statement, and the table that follows it where there is one.
BLOCK = re.compile(r"```sql\n(?P<sql>.*?)\n```\n(?P<answer>(?:\n(?:\|[^\n]*\n)+)?)", re.DOTALL)
DIGITS = 3


@dataclass(frozen=True)
class Question:
    """One statement of the page, and the headings of the answer below it."""

    sql: str
    columns: tuple[str, ...]


def questions(page: str) -> list[Question]:
    """Return the statements of a page in order."""
    return [
        Question(found["sql"], tuple(_cells(found["answer"].strip().split("\n")[0])))
        for found in BLOCK.finditer(page)
    ]


def answered(page: str, db: str | Path) -> str:
    """Return a page with the answers of a database below its statements."""

    def answer(found: re.Match[str]) -> str:
        asked = queries.sql(db, found["sql"])
        rows = [
            asked.columns,
            ["---"] * len(asked.columns),
            *([_cell(one) for one in row] for row in asked.rows),
        ]
        table = "".join(f"| {' | '.join(row)} |\n" for row in rows)
        return f"```sql\n{found['sql']}\n```\n\n{table}"

    return BLOCK.sub(answer, page)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def _cell(value: object) -> str:
    """Return a value as a cell shows it: rounded, a dash for what is unknown."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        # Rates and diffusivities span many powers of ten.
        plain = value == 0 or 1e-3 <= abs(value) < 1e5
        return f"{value:.{DIGITS}f}" if plain else f"{value:.1e}"
    return str(value).replace("|", "\\|")


if __name__ == "__main__":
    file, database = Path(sys.argv[1]), sys.argv[2]
    file.write_text(answered(file.read_text(encoding="utf-8"), database), encoding="utf-8")
