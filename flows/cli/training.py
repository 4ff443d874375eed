"""`lihop train`: learn a barrier model from labelled hops."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from flows.cli.errors import UsageError
from flows.cli.output import print_json, print_table
from flows.cli.screening import telling_of_interrupts
from flows.progress import bars, messages
from flows.settings import resolve
from models.specs import NETWORK_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.settings import TrainSettings

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Dataset = Annotated[str, typer.Option(help="Data set: devi2025.")]
Datasets = Annotated[
    list[str] | None, typer.Option("--dataset", help="Data set to learn from; may be repeated [devi2025].")
]
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
    dataset: Datasets = None,
    rows: Annotated[
        Literal["train", "all"],
        typer.Option(help="Hops to learn from: the training split, or all; then no test figure is claimed."),
    ] = "train",
    arch: Annotated[str | None, typer.Option(help=f"Network: {', '.join(NETWORK_NAMES)}.")] = None,
    members: Annotated[int | None, typer.Option(help="Networks in the ensemble.")] = None,
    groups: Annotated[
        str | None,
        typer.Option(help="Descriptor groups to learn from, by commas: local,profile,topology,chemistry."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training rows.")] = None,
    patience: Annotated[
        int | None,
        typer.Option(help="Stop early: epochs without a better loss on hosts held out. Off unless given."),
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Hops a step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak of the one-cycle schedule.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="L2 penalty, decoupled.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the first member; others count up.")] = None,
    others: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any other training setting; may be repeated."),
    ] = None,
    accelerator: Annotated[
        Literal["auto", "cpu", "cuda"],
        typer.Option(help="Where to train. The CPU and CUDA do not end with the same digest."),
    ] = "auto",
    logs: Annotated[
        str | None, typer.Option(help="Folder for a log of each network, CSV and TensorBoard [OUTPUT.logs].")
    ] = None,
    no_logs: Annotated[bool, typer.Option("--no-logs", help="Write no logs.")] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin anew, whatever an unfinished training left in its folder.")
    ] = False,
    fresh_if_changed: Annotated[
        bool,
        typer.Option(
            "--fresh-if-changed",
            help="Begin anew where an unfinished training was begun with other data, settings or code.",
        ),
    ] = False,
    name: Annotated[
        str | None, typer.Option(help="What the checkpoint is called [published, or production for all].")
    ] = None,
    data_dir: DataDir = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Train a barrier model on labelled hops; cut off, the same command goes on with it."""
    from flows.train import logs_folder
    from flows.train import train as train_model

    if no_logs and logs is not None:
        raise UsageError(f"--logs {logs} and --no-logs contradict each other; give one of them")
    flags = {
        "arch": arch, "members": members, "groups": groups, "epochs": epochs, "patience": patience,
        "batch_size": batch_size, "learning_rate": learning_rate, "weight_decay": weight_decay, "seed": seed,
    }  # fmt: skip
    training = training_settings(flags, [] if others is None else others)
    settings = resolve({"data_dir": data_dir, "workers": workers})
    log_to = logs_folder(Path(output)) if logs is None else Path(logs)
    with telling_of_interrupts(), messages() if as_json else bars(""):
        found = train_model(
            training,
            Path(output),
            datasets=["devi2025"] if dataset is None else dataset,
            rows=rows,
            name=name,
            data_dir=settings.data_dir,
            workers=settings.workers,
            accelerator=accelerator,
            logs=None if no_logs else log_to,
            fresh=fresh,
            fresh_if_changed=fresh_if_changed,
        )
    if as_json:
        print_json(found)
    else:
        tell(found)


def training_settings(flags: Mapping[str, object], others: Sequence[str]) -> TrainSettings:
    """Return the settings that flags and ``NAME=VALUE`` pairs ask for, defaults elsewhere.

    Raises
    ------
    UsageError
        If a pair is none, names no setting, or names one twice.
    """
    from models import settings

    given = {name: value for name, value in flags.items() if value is not None}
    for pair in others:
        name, equals, value = pair.partition("=")
        key = name.strip().replace("-", "_")
        if not equals or key not in settings.TrainSettings.model_fields:
            allowed = ", ".join(sorted(settings.TrainSettings.model_fields))
            raise UsageError(f"--set {pair}: give NAME=VALUE with one of the names {allowed}")
        if key in given:
            raise UsageError(f"--set {pair}: {key} is given twice; give it once")
        given[key] = None if value.strip().lower() == "none" else value.strip()
    named = given.get("groups")
    if isinstance(named, str):
        if not named.strip():
            raise UsageError(
                "--groups is empty; name some of local,profile,topology,chemistry, or leave it out"
            )
        given["groups"] = tuple(group.strip() for group in named.split(","))
    return settings.TrainSettings(**given)


def tell(found: Mapping[str, Any]) -> None:
    """Print what people read at the end of a training."""
    resumed = found["resumed_fits"]
    went_on = f", {resumed} networks were there already" if resumed else ""
    hops = found["n_training_hops"]
    print(f"Wrote {found['path']} (digest {found['model_digest'][:12]}, {hops} hops{went_on}).")
    print(f"Trained on {found['trained_on']}")
    print_table([{"who": who, **figures} for who, figures in found["metrics"].items()], METRICS)
    if found["logs"] is not None:
        print(f"Logs: {found['logs']} (metrics.csv a network, or tensorboard --logdir {found['logs']})")
    if found["rows"] == "train":
        print(f"Judge it on the test split: lihop evaluate --model {found['path']}")
