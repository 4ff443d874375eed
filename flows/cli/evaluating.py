"""`lihop evaluate`: how good a barrier model is, and what its descriptors are worth."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated, Any

import typer

from flows.cli.errors import UsageError
from flows.cli.figures import refuse_figure, write_parity
from flows.cli.output import print_json, print_table
from flows.cli.training import METRICS, DataDir, Dataset, Json
from flows.progress import bars
from flows.settings import resolve

Figure = Annotated[
    str | None, typer.Option(help="Draw predicted against DFT barriers: NAME.svg or NAME.png.")
]
Workers = Annotated[int | None, typer.Option(help="Processes that describe hops, and fit for --ablate.")]


ABLATION = {
    "predictor": "predictor",
    "shown": "descriptor groups",
    "mae_ev": "MAE (eV)",
    "mae_ci": "95% interval",
    "mae_below_3ev": "MAE below 3 eV",
    "spearman": "Spearman",
    "delta_mae_ev": "Δ MAE (eV)",
    "delta_ci": "95% interval of Δ",
}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate")(evaluate)


def evaluate(
    dataset: Dataset = "devi2025",
    split: Annotated[str | None, typer.Option(help="Split: published.")] = None,
    model: Annotated[str | None, typer.Option(help="Name of a shipped checkpoint, or a folder.")] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Write the figures into the checkpoint's card.")
    ] = False,
    figure: Figure = None,
    ablate: Annotated[
        str | None,
        typer.Option(
            help="Judge what a checkpoint is made of instead: groups, the descriptor groups, each alone and "
            "each left out, on hosts held out of the training split."
        ),
    ] = None,
    folds: Annotated[int | None, typer.Option(help="Folds of whole hosts for --ablate [5].")] = None,
    members: Annotated[int | None, typer.Option(help="Networks a fold for --ablate [2].")] = None,
    repeats: Annotated[
        int | None, typer.Option(help="Times to do --ablate with other folds and seeds, averaged [1].")
    ] = None,
    data_dir: DataDir = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Judge a checkpoint on a split that it has not seen, beside the median guess and extra trees."""
    from flows.evaluate import judge

    sizes = {"n_folds": folds, "members": members, "repeats": repeats}
    given = {name: value for name, value in sizes.items() if value is not None}
    if ablate is not None:
        _refuse_with_ablate(ablate, split=split, keep=keep, figure=figure)
        _ablate(given, model, dataset, data_dir, workers, as_json=as_json)
        return
    if given:
        raise UsageError("--folds, --members and --repeats go with --ablate groups; give that too, or none")
    if split not in {None, "published"}:
        raise UsageError(f"--split {split}: there is no such split; there is: published")
    settings = resolve({"data_dir": data_dir, "workers": workers, "model": model})
    if figure is not None:
        refuse_figure(figure)
    with nullcontext() if as_json else bars("hops"):
        judged = judge(
            model=settings.model,
            dataset=dataset,
            data_dir=settings.data_dir,
            workers=settings.workers,
            keep=keep,
        )
    found = judged.figures
    if figure is not None:
        write_parity(figure, judged, f"Barriers of {dataset}, {found['split']} test split")
    if as_json:
        print_json(found)
        return
    _print_judgement(found, figure)


def _print_judgement(found: dict[str, Any], figure: str | None) -> None:
    low, high = found["mae_ci_ev"]
    print(
        f"{found['n']} hops of {found['dataset']}, split {found['split']}, model {found['model_digest'][:12]}"
    )
    rows = [{"who": "this model", **found}] + [{"who": who, **row} for who, row in found["baselines"].items()]
    print_table(rows, METRICS)
    if figure is not None:
        print(f"Wrote {figure}.")
    print(f"MAE {found['mae_ev']:.3f} eV, 95% bootstrap interval {low:.3f} to {high:.3f} eV.")
    print(f"The 90% interval holds {found['coverage_90']:.0%} of the barriers.")
    print_table(
        [{"ion": ion, **row} for ion, row in found["by_ion"].items()],
        {"ion": "ion", "n": "hops", "mae_ev": "MAE (eV)"},
    )


def _refuse_with_ablate(ablate: str, *, split: str | None, keep: bool, figure: str | None) -> None:
    """Refuse what cannot be taken apart, and what goes with a checkpoint's own figures alone."""
    if ablate != "groups":
        raise UsageError(f"--ablate {ablate}: it cannot be taken apart; there is: groups")
    if split is not None:
        raise UsageError(
            f"--split {split} and --ablate were both given: an ablation holds out hosts of the training "
            "split; leave --split out"
        )
    if keep or figure is not None:
        wrong = "--keep" if keep else "--figure"
        raise UsageError(
            f"{wrong} is for a checkpoint's own figures, which --ablate does not make; give one of the two"
        )


def _ablate(
    sizes: dict[str, int],
    model: str | None,
    dataset: str,
    data_dir: str | None,
    workers: int | None,
    *,
    as_json: bool,
) -> None:
    from flows.evaluate import ablate_groups
    from models.ablation import AblationSettings

    settings = resolve({"data_dir": data_dir, "workers": workers})
    asked = AblationSettings(**sizes)
    with nullcontext() if as_json else bars("hops and fits"):
        found = ablate_groups(
            asked, model=model, dataset=dataset, data_dir=settings.data_dir, workers=settings.workers
        )
    if as_json:
        print_json(found)
        return
    print(
        f"{found['n']} hops of {found['n_hosts']} hosts of {dataset}, {found['split']}: {asked.n_folds} "
        f"folds, networks a fold: {asked.members}, repeats: {asked.repeats}"
    )
    print_table([_ablation_row(row, found["rows"][0]["groups"]) for row in found["rows"]], ABLATION)
    print(f"Guessing the median: MAE {found['median_guess_mae_ev']:.3f} eV.")
    print("Δ MAE: against the same predictor with all groups; above zero, all groups are better.")
    print(
        "Intervals come from drawing whole hosts. They leave out what other seeds and folds would change, "
        "over which --repeats averages."
    )


def _ablation_row(row: dict[str, Any], every: list[str]) -> dict[str, Any]:
    """Return a row of an ablation as people read it."""
    named = ", ".join(row["groups"])
    missing = ", ".join(name for name in every if name not in row["groups"])
    shown = {"all": "all", "alone": f"{named} alone", "left_out": f"without {missing}"}
    spans = {
        "mae_ci": "{:.3f} to {:.3f}".format(*row["mae_ci_ev"]),
        "delta_ci": "{:+.3f} to {:+.3f}".format(*row["delta_ci_ev"]),
    }
    if row["what"] == "all":
        spans["delta_ci"] = "-"
    return {**row, "shown": shown[row["what"]], **spans}
