"""`lihop train`: learn a barrier model from labelled hops."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.errors import UsageError
from flows.cli.output import print_json, print_table
from flows.progress import bars
from flows.settings import resolve
from models.specs import NETWORK_NAMES

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Dataset = Annotated[str, typer.Option(help="Data set: devi2025.")]
DataDir = Annotated[
    str | None,
    typer.Option(help="Folder that holds the data set's folder [LIHOP_DATA_DIR, data]."),
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
    """Add the command."""
    app.command("train")(train)


def train(
    output: Annotated[str, typer.Option(help="Folder to write the checkpoint to.")] = "runs/checkpoint",
    dataset: Dataset = "devi2025",
    arch: Annotated[str | None, typer.Option(help=f"Network: {', '.join(NETWORK_NAMES)}.")] = None,
    members: Annotated[int | None, typer.Option(help="Networks in the ensemble.")] = None,
    groups: Annotated[
        str | None,
        typer.Option(help="Descriptor groups to learn from, by commas: local,profile,topology,chemistry."),
    ] = None,
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
    if groups is not None and not groups.strip():
        raise UsageError("--groups is empty; name some of local,profile,topology,chemistry, or leave it out")
    named = None if groups is None else tuple(name.strip() for name in groups.split(","))
    given = {"arch": arch, "members": members, "epochs": epochs, "seed": seed, "groups": named}
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
