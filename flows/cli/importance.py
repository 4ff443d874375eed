"""`lihop evaluate --importance`: what each descriptor is worth, as tables, JSON, Markdown and a picture."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.errors import UsageError
from flows.cli.figures import refuse_figure
from flows.cli.output import print_json, print_table
from flows.progress import bars
from flows.settings import resolve
from models.specs import GROUP_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

Importance = Annotated[
    bool,
    typer.Option(
        "--importance",
        help="Measure what shuffling each descriptor costs instead, on hosts held out of the training split.",
    ),
]
Groups = Annotated[
    str | None,
    typer.Option(
        help="Descriptor groups to learn from for --importance, by commas: "
        "local,profile,topology,chemistry [those of the recipe: of --model, or the defaults]."
    ),
]
Markdown = Annotated[bool, typer.Option("--markdown", help="Print --importance as a page in Markdown.")]

COLUMNS = {
    "name": "descriptors",
    "n_keys": "how many",
    "rise_ev": "rise in MAE (eV)",
    "interval": "95% interval",
    "repeat_std_ev": "±",
    "spearman": "Spearman",
    "of": "of",
}
TITLES = {
    "group": "Groups",
    "family": "Families of descriptors",
    "key": "Single descriptors, the first {top}",
}
TOP = 15
DIGITS = {"rise_ev": 4, "repeat_std_ev": 4, "spearman": 2}


@dataclass(frozen=True)
class Asked:
    """What is to be measured, and how shown.

    Parameters
    ----------
    sizes : mapping of str to int
        Fields of `models.importance.ImportanceSettings` that were given.
    model, groups, dataset, data_dir, workers
        As the command's flags have them.
    figure : str or None
        File to draw into.
    as_json, markdown : bool
        How to print.
    """

    sizes: Mapping[str, int]
    model: str | None
    groups: str | None
    dataset: str
    data_dir: str | None
    workers: int | None
    figure: str | None
    as_json: bool
    markdown: bool


def refuse_with_importance(given: Mapping[str, bool]) -> None:
    """Refuse flags that judge a checkpoint as it is.

    Raises
    ------
    UsageError
        With the first that was given.
    """
    wrong = [flag for flag, was_given in given.items() if was_given]
    if wrong:
        raise UsageError(
            f"{wrong[0]} and --importance were both given: importances are measured by refitting on the "
            "training split; give one of the two"
        )


def refuse_without_importance(*, groups: str | None, markdown: bool) -> None:
    """Refuse what goes with --importance alone.

    Raises
    ------
    UsageError
        With the first that was given.
    """
    if groups is not None or markdown:
        wrong = "--markdown" if groups is None else f"--groups {groups}"
        raise UsageError(f"{wrong} goes with --importance; give that too, or leave it out")


def importance(asked: Asked) -> None:
    """Measure and show importances.

    Raises
    ------
    UsageError
        When a flag does not fit, or the figure cannot be written.
    """
    from flows.importance import measure_importance
    from models.importance import ImportanceSettings

    if asked.as_json and asked.markdown:
        raise UsageError("--json and --markdown were both given: give one of the two")
    groups = _groups(asked.groups)
    if asked.figure is not None:
        refuse_figure(asked.figure)
    settings = resolve({"data_dir": asked.data_dir, "workers": asked.workers})
    with nullcontext() if asked.as_json or asked.markdown else bars("hops and folds"):
        found = measure_importance(
            ImportanceSettings(**asked.sizes),
            model=asked.model,
            groups=groups,
            dataset=asked.dataset,
            data_dir=settings.data_dir,
            workers=settings.workers,
        )
    if asked.figure is not None:
        _draw(found, asked.figure)
    if asked.as_json:
        print_json(found)
    elif asked.markdown:
        from tasks.reports.importance_page import importance_page

        print(importance_page(found, _command(asked)))
    else:
        _print(found, asked.figure)


def _draw(found: dict[str, Any], path: str) -> None:
    from tasks.reports.errors import FigureError
    from tasks.reports.figures import save
    from tasks.reports.importance_figure import importance_figure

    try:
        save(importance_figure(found), Path(path))
    except FigureError as error:
        raise UsageError(str(error)) from error


def _groups(given: str | None) -> tuple[str, ...] | None:
    if given is None:
        return None
    named = tuple(name.strip() for name in given.split(","))
    unknown = [name for name in named if name not in GROUP_NAMES]
    if unknown:
        raise UsageError(
            f"--groups {given}: there is no group {unknown[0]!r}; there are {', '.join(GROUP_NAMES)}"
        )
    return named


def _command(asked: Asked) -> str:
    """Return the command that prints the page, without where things lie on this machine."""
    flags = {"--model": asked.model, "--groups": asked.groups, "--folds": asked.sizes.get("n_folds"),
             "--members": asked.sizes.get("members"), "--repeats": asked.sizes.get("repeats"),
             "--figure": asked.figure}  # fmt: skip
    given = [f"{flag} {value}" for flag, value in flags.items() if value is not None]
    return " ".join(["lihop evaluate --importance", *given, "--markdown"])


def _print(found: dict[str, Any], figure: str | None) -> None:
    from tasks.reports.importance_page import beside_paper, of_kind

    low, high = found["mae_ci_ev"]
    print(
        f"{found['n']} hops of {found['n_hosts']} hosts of {found['dataset']}, {found['split']}: "
        f"{found['n_folds']} folds, networks a fold: {found['members']}, shuffles: {found['repeats']}"
    )
    print(
        f"{found['method']} on {', '.join(found['groups'])}: MAE {found['mae_ev']:.3f} eV, 95% interval "
        f"{low:.3f} to {high:.3f}; guessing the median {found['median_guess_mae_ev']:.3f} eV."
    )
    for what, title in TITLES.items():
        rows = of_kind(found, what)
        rows = [_shown(row) for row in (rows[:TOP] if what == "key" else rows)]
        print_table(rows, COLUMNS, title=title.format(top=len(rows)), digits=DIGITS)
    print("\n".join(line.replace("**", "").replace("`", "") for line in beside_paper(found)))
    if figure is not None:
        print(f"Wrote {figure}.")


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    low, high = row["rise_ci_ev"]
    of = ", ".join(row["groups"]) if row["what"] == "key" else row["strongest_key"]
    return {**row, "interval": f"{low:+.4f} to {high:+.4f}", "of": of}
