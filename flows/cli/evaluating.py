"""`lihop evaluate`: how good a barrier model is, and what its descriptors are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.ablating import ablate as ablate_and_print
from flows.cli.ablating import refuse_with_ablate
from flows.cli.errors import UsageError
from flows.cli.figures import refuse_figure, write_parity, write_residuals
from flows.cli.importance import Asked as AskedImportance
from flows.cli.importance import (
    Groups,
    Importance,
    Markdown,
    refuse_with_importance,
    refuse_without_importance,
)
from flows.cli.importance import importance as measure_and_print
from flows.cli.output import print_json
from flows.cli.training import DataDir, Dataset, Json
from flows.progress import bars, messages
from flows.settings import resolve

if TYPE_CHECKING:
    from flows.evaluate import Asked, Judgement

PUBLISHED, GROUPED = "published", "grouped"
SPLITS = 50

Split = Annotated[
    str | None,
    typer.Option(
        help="published [the default]: a checkpoint on the authors' test split. grouped: its recipe on all "
        "hops, refitted without each of ten folds of whole hosts; what screening has to do."
    ),
]
Model = Annotated[str | None, typer.Option(help="Name of a shipped checkpoint, or a folder [published].")]
Keep = Annotated[bool, typer.Option("--keep", help="Write the figures into the checkpoint's card.")]
Figure = Annotated[
    str | None, typer.Option(help="Draw predicted against DFT barriers: NAME.svg or NAME.png.")
]
Residuals = Annotated[
    str | None, typer.Option(help="Draw residuals against DFT barriers: NAME.svg or NAME.png.")
]
Compare = Annotated[
    bool,
    typer.Option(
        "--compare",
        help="Set every kind of network, trained alike, extra trees, an affine map of bond-valence barriers, "
        "the median guess and published predictions beside it, with intervals and costs.",
    ),
]
Coverage = Annotated[
    bool,
    typer.Option(
        "--coverage", help="Measure how often intervals hold the truth, over many divisions of the hosts."
    ),
]
Splits = Annotated[int | None, typer.Option(help=f"Divisions of the hosts for --coverage [{SPLITS}].")]
Ablate = Annotated[
    str | None,
    typer.Option(
        help="Judge what a checkpoint is made of instead: groups, the descriptor groups, each alone and "
        "each left out, on hosts held out of the training split."
    ),
]
Folds = Annotated[int | None, typer.Option(help="Folds of whole hosts for --ablate and --importance [5].")]
Members = Annotated[
    int | None,
    typer.Option(
        help="Networks a fold, for --split grouped [as in the checkpoint], --ablate [2] and --importance [1]."
    ),
]
Repeats = Annotated[
    int | None,
    typer.Option(
        help="Times to do --ablate with other folds and seeds, averaged [1]; shuffles for --importance [3]."
    ),
]
Workers = Annotated[int | None, typer.Option(help="Processes that describe hops and fit.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate")(evaluate)


def evaluate(
    dataset: Dataset = "devi2025",
    split: Split = None,
    model: Model = None,
    keep: Keep = False,
    figure: Figure = None,
    residuals: Residuals = None,
    compare: Compare = False,
    coverage: Coverage = False,
    splits: Splits = None,
    ablate: Ablate = None,
    folds: Folds = None,
    members: Members = None,
    repeats: Repeats = None,
    importance: Importance = False,
    groups: Groups = None,
    markdown: Markdown = False,
    data_dir: DataDir = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Judge a checkpoint on hops that it has not seen, or its recipe on hosts held out."""
    sizes = {"n_folds": folds, "members": members, "repeats": repeats}
    given = {name: value for name, value in sizes.items() if value is not None}
    others = {
        "--keep": keep,
        "--compare": compare,
        "--coverage": coverage,
        "--splits": splits is not None,
        "--residuals": residuals is not None,
    }
    if importance:
        refuse_with_importance({"--ablate": ablate is not None, "--split": split is not None, **others})
        measure_and_print(
            AskedImportance(
                given, model, groups, dataset, data_dir, workers, figure, as_json=as_json, markdown=markdown
            )
        )
        return
    refuse_without_importance(groups=groups, markdown=markdown)
    if ablate is not None:
        refuse_with_ablate(ablate, {**others, "--figure": figure is not None}, split)
        ablate_and_print(given, model, dataset, data_dir, workers, as_json=as_json)
        return
    if folds is not None or repeats is not None:
        raise UsageError(
            "--folds and --repeats go with --ablate groups and --importance; the folds of --split grouped "
            "stand in a file"
        )
    if splits is not None and not coverage:
        raise UsageError(f"--splits {splits} goes with --coverage; give that too, or leave it out")
    asked = _asked(
        dataset, split, model, members, data_dir, workers, keep=keep, compare=compare,
        coverage_splits=(SPLITS if splits is None else splits) if coverage else None,
    )  # fmt: skip
    for path in (figure, residuals):
        if path is not None:
            refuse_figure(path)
    _judge(asked, figure, residuals, as_json=as_json)


def _asked(
    dataset: str,
    split: str | None,
    model: str | None,
    members: int | None,
    data_dir: str | None,
    workers: int | None,
    *,
    keep: bool,
    compare: bool,
    coverage_splits: int | None,
) -> Asked:
    """Put together what is asked for; coverage is measured on hosts held out, and so implies that split."""
    from flows.evaluate import Asked

    settings = resolve({"data_dir": data_dir, "workers": workers, "model": model})
    chosen: Any = split
    if split is None:
        chosen = PUBLISHED if coverage_splits is None else GROUPED
    return Asked(
        # What a screening takes by default may have seen every row; what is judged by default has not.
        model=settings.model if "model" in settings.model_fields_set else PUBLISHED,
        dataset=dataset,
        split=chosen,
        members=members,
        compare=compare,
        coverage_splits=coverage_splits,
        data_dir=settings.data_dir,
        workers=settings.workers,
        keep=keep,
    )


def _judge(asked: Asked, figure: str | None, residuals: str | None, *, as_json: bool) -> None:
    """Judge, draw and print."""
    from flows.evaluate import judge

    with messages() if as_json else bars("hops and fits"):
        judged = judge(asked)
    drawn = _draw(judged, figure, residuals)
    if as_json:
        print_json(judged.figures)
        return
    from flows.cli.comparing import print_comparison, print_coverage, print_judgement

    print_judgement(judged.figures)
    if "comparison" in judged.figures:
        print_comparison(judged.figures["comparison"])
    if "coverage" in judged.figures:
        print_coverage(judged.figures["coverage"])
    for path in drawn:
        print(f"Wrote {path}.")


def _draw(judged: Judgement, figure: str | None, residuals: str | None) -> list[str]:
    """Write the figures that were asked for; return their files."""
    found = judged.figures
    of = {PUBLISHED: "published test split", GROUPED: "hosts held out"}[found["split"]]
    if figure is not None:
        write_parity(figure, judged, f"Barriers of {found['dataset']}, {of}")
    if residuals is not None:
        write_residuals(residuals, judged, f"Residuals of {found['dataset']}, {of}")
    return [path for path in (figure, residuals) if path is not None]
