"""`lihop evaluate --ablate groups`: what the descriptor groups are worth, as a table."""

from __future__ import annotations

from typing import Any

from flows.cli.errors import UsageError
from flows.cli.output import print_json, print_table
from flows.progress import bars, messages
from flows.settings import resolve

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


def refuse_with_ablate(ablate: str, given: dict[str, bool], split: str | None) -> None:
    """Refuse what cannot be taken apart, and what goes with a checkpoint's own figures alone.

    Parameters
    ----------
    ablate : str
        What is to be taken apart.
    given : dict of str to bool
        Flags that an ablation does not take, and whether each was given.
    split : str, optional
        The split that was asked for.

    Raises
    ------
    UsageError
        With what to leave out.
    """
    if ablate != "groups":
        raise UsageError(f"--ablate {ablate}: it cannot be taken apart; there is: groups")
    if split is not None:
        raise UsageError(
            f"--split {split} and --ablate were both given: an ablation holds out hosts of the training "
            "split; leave --split out"
        )
    wrong = [flag for flag, was_given in given.items() if was_given]
    if wrong:
        raise UsageError(
            f"{wrong[0]} is for a checkpoint's own figures, which --ablate does not make; give one of the two"
        )


def ablate(
    sizes: dict[str, int],
    model: str | None,
    dataset: str,
    data_dir: str | None,
    workers: int | None,
    *,
    as_json: bool,
) -> None:
    """Run an ablation and print it.

    Parameters
    ----------
    sizes : dict of str to int
        Fields of `models.ablation.AblationSettings` that were given.
    model, dataset, data_dir, workers
        As `flows.importance.ablate_groups` takes them.
    as_json : bool
        Whether to print JSON.
    """
    from flows.importance import ablate_groups
    from models.ablation import AblationSettings

    settings = resolve({"data_dir": data_dir, "workers": workers})
    asked = AblationSettings(**sizes)
    with messages() if as_json else bars("hops and fits"):
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
