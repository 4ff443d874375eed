"""`lihop train` and `lihop evaluate`: the barrier model, and how good it is."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.errors import UsageError
from flows.cli.figures import refuse_figure, write_parity
from flows.cli.output import print_json, print_table
from flows.progress import bars
from flows.settings import resolve

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Dataset = Annotated[str, typer.Option(help="Data set: devi2025.")]
DataDir = Annotated[
    str | None,
    typer.Option(help="Folder that holds the data set's folder [LIHOP_DATA_DIR, data]."),
]
Figure = Annotated[
    str | None, typer.Option(help="Draw predicted against DFT barriers: NAME.svg or NAME.png.")
]
Workers = Annotated[int | None, typer.Option(help="Processes that describe hops.")]

METRICS = {
    "who": "predictor",
    "mae_ev": "MAE (eV)",
    "mae_below_3ev": "MAE below 3 eV",
    "median_error_ev": "median error",
    "rmse_ev": "RMSE (eV)",
    "r2": "R²",
    "spearman": "Spearman",
    "accuracy_050": "right at 0.50 eV",
    "accuracy_065": "right at 0.65 eV",
}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("train")(train)
    app.command("evaluate")(evaluate)


def train(
    output: Annotated[str, typer.Option(help="Folder to write the checkpoint to.")] = "runs/checkpoint",
    dataset: Dataset = "devi2025",
    arch: Annotated[str | None, typer.Option(help="Network: cnn.")] = None,
    members: Annotated[int | None, typer.Option(help="Networks in the ensemble.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training rows.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the first member; others count up.")] = None,
    name: Annotated[str, typer.Option(help="What the checkpoint is called.")] = "published",
    data_dir: DataDir = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Train a barrier model on the published training split of a data set."""
    from flows.train import train as train_model
    from models.settings import TrainSettings

    settings = resolve({"data_dir": data_dir, "workers": workers})
    given = {"arch": arch, "members": members, "epochs": epochs, "seed": seed}
    training = TrainSettings(**{key: value for key, value in given.items() if value is not None})
    with nullcontext() if as_json else bars("hops and networks"):
        found = train_model(
            training,
            Path(output),
            dataset=dataset,
            name=name,
            data_dir=settings.data_dir,
            workers=settings.workers,
        )
    if as_json:
        print_json(found)
        return
    print(f"Wrote {found['path']} (digest {found['model_digest'][:12]}, {found['n_training_hops']} hops).")
    print_table([{"who": who, **figures} for who, figures in found["metrics"].items()], METRICS)
    print(f"Judge it on the test split: lihop evaluate --dataset {dataset} --model {found['path']}")


def evaluate(
    dataset: Dataset = "devi2025",
    split: Annotated[str, typer.Option(help="Split: published.")] = "published",
    model: Annotated[str | None, typer.Option(help="Name of a shipped checkpoint, or a folder.")] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Write the figures into the checkpoint's card.")
    ] = False,
    figure: Figure = None,
    data_dir: DataDir = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Judge a checkpoint on a split that it has not seen, beside the median guess and extra trees."""
    from flows.train import judge

    if split != "published":
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
        write_parity(figure, judged, f"Barriers of {dataset}, {split} test split")
    if as_json:
        print_json(found)
        return
    low, high = found["mae_ci_ev"]
    print(f"{found['n']} hops of {dataset}, split {split}, model {found['model_digest'][:12]}")
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
