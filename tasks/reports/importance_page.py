"""The page about importances: what shuffling a descriptor costs, beside what the paper found, in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

Record = dict[str, Any]

TOP = 25
"""Single keys that a table lists."""

PAPER = ("d_min", "d_std", "H0 bars")
"""What the paper names as weighing most, in its order."""

HEAD = """# What each descriptor is worth

What this prints:

```
{command}
```

{n} hops of {n_hosts} hosts of {dataset}, all of its published training split; its test split was not read.
The model (`{method}`, groups {groups}; networks a fold: {members}) is refitted without each of {n_folds}
folds of whole hosts. In the fold that it has not seen, one descriptor, a family of them, or a whole group
then changes places among the hops ({repeats} times), and the tables give what the mean absolute error rises
by. Without shuffling it is {mae:.3f} eV [{low:.3f}, {high:.3f}]; guessing the median gives {median:.3f} eV.
Intervals come from drawing whole hosts; ± is the standard deviation over the shuffles. Neither holds what
other seeds and folds would change.

Spearman is the rank correlation of one descriptor with the barrier, by itself and without any model, for a
channel of the image that of its least value along the path; of a family or a group that of its strongest one.

How to read it: a descriptor whose like remains costs little when it alone is shuffled, however much the
barrier hangs on what they share. Families take the most alike together, but say much the same in their turn:
the room for the ion stands in distances, gaps, bond valences and site energies alike. And a family of many
descriptors takes the model further from what it knows when all of it is shuffled.
"""


def importance_page(found: Record, command: str) -> str:
    """Return the page in Markdown.

    Parameters
    ----------
    found : dict
        What `flows.importance.measure_importance` returns.
    command : str
        What prints the page.
    """
    low, high = found["mae_ci_ev"]
    head = HEAD.format(
        command=command,
        mae=found["mae_ev"],
        low=low,
        high=high,
        median=found["median_guess_mae_ev"],
        groups=", ".join(f"`{name}`" for name in found["groups"]),
        **{key: found[key] for key in ("n", "n_hosts", "dataset", "method", "members", "n_folds", "repeats")},
    )
    keys = of_kind(found, "key")
    parts = [head, "## Beside the paper\n", *beside_paper(found), "", "## Groups\n"]
    parts += [_table("group", of_kind(found, "group")), "", "## Families\n"]
    parts += [_table("family", of_kind(found, "family")), ""]
    parts += [f"## Single descriptors, the first {min(TOP, len(keys))} of {len(keys)}\n"]
    return "\n".join([*parts, _table("descriptor", keys[:TOP])])


def of_kind(found: Record, what: str) -> list[Record]:
    """Return the rows of one kind, the greatest rise first."""
    return [row for row in found["rows"] if row["what"] == what]


def beside_paper(found: Record) -> list[str]:
    """Return where the paper's leading descriptors stand here, in words, a line each.

    The places are those among families that share no descriptor.
    """
    division = [row for row in of_kind(found, "family") if "together" not in row["name"]]
    place = {row["name"]: k for k, row in enumerate(division, 1)}
    by_rho = sorted(
        (row for row in division if row["spearman"] is not None), key=lambda r: -abs(r["spearman"])
    )
    rank = {row["name"]: k for k, row in enumerate(by_rho, 1)}
    lines = ["The paper finds d_min to weigh most, then d_std and the bars of H0. Here, among families:\n"]
    for name in PAPER:
        if name not in place:
            lines.append(f"- **{name}**: no such descriptor is in the groups that were taken.")
            continue
        row = division[place[name] - 1]
        told = "" if row["rise_ci_ev"][0] > 0 else "; its interval holds 0, so it cannot be told from nothing"
        lines.append(
            f"- **{name}** is number {place[name]} of {len(division)} by what shuffling costs, "
            f"{_rise(row)} eV{told}. By correlation alone it is number {rank.get(name, '-')} "
            f"({_number(row['spearman'])}, `{row['strongest_key']}`)."
        )
    first = [f"{row['name']} ({row['rise_ev']:+.3f} eV)" for row in division[: len(PAPER)]]
    best = [f"{row['name']} ({_number(row['spearman'])})" for row in by_rho[: len(PAPER)]]
    lines.append(f"- First by what shuffling costs: {', '.join(first)}.")
    lines.append(f"- First by correlation alone: {', '.join(best)}.")
    lines.append(f"- So the paper's order is {'' if _as_in_paper(division) else 'not '}found here.")
    return lines


def _as_in_paper(division: Sequence[Record]) -> bool:
    return tuple(row["name"] for row in division[: len(PAPER)]) == PAPER


def _table(kind: str, rows: Sequence[Record]) -> str:
    single = kind == "descriptor"
    strongest = {row["name"]: f" `{row['strongest_key']}`" for row in rows if row["strongest_key"]}
    heading = (
        kind,
        "of group" if single else "descriptors",
        "rise in MAE (eV)",
        "95% interval",
        "±",
        "Spearman",
    )
    lines = [heading, ("---",) * len(heading)]
    for row in rows:
        low, high = row["rise_ci_ev"]
        lines.append((
            f"`{row['name']}`" if kind != "family" else row["name"],
            ", ".join(row["groups"]) if single else str(row["n_keys"]),
            f"{row['rise_ev']:+.4f}",
            f"{low:+.4f} to {high:+.4f}",
            "-" if row["repeat_std_ev"] is None else f"{row['repeat_std_ev']:.4f}",
            _number(row["spearman"]) + ("" if single else strongest.get(row["name"], "")),
        ))  # fmt: skip
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _rise(row: Record) -> str:
    low, high = row["rise_ci_ev"]
    return f"{row['rise_ev']:+.3f} [{low:+.3f}, {high:+.3f}]"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:+.2f}"
