"""What `lihop evaluate` prints of a judgement, of predictors side by side, and of coverage."""

from __future__ import annotations

from typing import Any

from flows.cli.output import print_table
from flows.cli.training import METRICS
from models.bootstrap import CONFIDENCE
from models.coverage import WANTED, WANTED_OF_ION

COMPARED = {
    "predictor": "predictor",
    "n": "hops",
    "mae_ev": "MAE (eV)",
    "mae_ci": "95% interval",
    "mae_below_3ev": "MAE below 3 eV",
    "median_error_ev": "median error",
    "rmse_ev": "RMSE (eV)",
    "r2": "R²",
    "spearman": "Spearman",
    "accuracy_050": "right at 0.50 eV",
    "accuracy_065": "right at 0.65 eV",
}
DIFFERENCES = {
    "predictor": "predictor",
    "delta_mae_ev": "Δ MAE (eV)",
    "delta_ci": "95% interval",
    "delta_ci_hosts": "over whole hosts",
    "li_n": "Li hops",
    "li_mae_ev": "MAE of Li hops",
    "li_mae_ci": "95% interval",
    "li_delta_ci": "95% interval of Δ",
}
COSTS = {
    "predictor": "predictor",
    "parameters": "parameters",
    "training_seconds": "training (s)",
    "hops_per_second": "hops a second",
    "training_seconds_of": "training of",
}
SPREAD = {
    "what": "over the splits",
    "mean": "mean",
    "sd": "standard deviation",
    "p05": "5th percentile",
    "p95": "95th percentile",
}


def print_judgement(found: dict[str, Any]) -> None:
    """Print the figures of a checkpoint, or of its recipe, and what stands beside them."""
    print(
        f"{found['n']} hops of {found['n_hosts']} hosts of {found['dataset']}, split {found['split']}, "
        f"model {found['model_digest'][:12]}"
    )
    if "n_folds" in found:
        print(
            f"Its recipe, refitted without each of {found['n_folds']} folds of whole hosts, networks a fold: "
            f"{found['members']}."
        )
    rows = [{"who": "this model", **found}] + [{"who": who, **row} for who, row in found["baselines"].items()]
    print_table(rows, METRICS)
    if "baselines_note" in found:
        print(found["baselines_note"])
    if found.get("judged_before"):
        print(f"Checkpoints of lihop judged on these hops before: {len(found['judged_before'])}.")
    print(
        f"MAE {found['mae_ev']:.3f} eV, 95% bootstrap interval {_span(found['mae_ci_ev'])} eV; with whole "
        f"hosts drawn {_span(found['mae_ci_hosts_ev'])} eV."
    )
    print(
        f"The 90% interval holds {found['coverage_90']:.0%} of the barriers; its upper end is "
        f"{found['median_interval_ratio']:.1f} times the lower one at the median."
    )
    print(
        f"{found['share_in_domain']:.0%} of the hops lie inside the training domain: MAE "
        f"{_ev(found['mae_in_domain_ev'])} inside, {_ev(found['mae_out_of_domain_ev'])} outside."
    )
    print_table(
        [{"ion": ion, **row} for ion, row in found["by_ion"].items()],
        {"ion": "ion", "n": "hops", "mae_ev": "MAE (eV)", "coverage_90": "90% covers"},
    )


def print_comparison(table: list[dict[str, Any]]) -> None:
    """Print predictors side by side: metrics, differences in pairs, and costs."""
    print_table([{**row, "mae_ci": _span(row["intervals"]["mae_ev"])} for row in table], COMPARED)
    print_table([_difference(row) for row in table], DIFFERENCES)
    first = table[0]["predictor"]
    print(
        f"Δ MAE: less that of {first} on the same hops; above zero, {first} is better. Intervals are "
        f"{CONFIDENCE:.0%} bootstrap ones."
    )
    digits = {"training_seconds": 1, "hops_per_second": 0}
    print_table(table, COSTS, digits=digits)
    for row in table:
        if row["note"] is not None:
            print(f"{row['note']}.")


def print_coverage(study: dict[str, Any]) -> None:
    """Print how often intervals hold the truth of hosts that did not calibrate them."""
    print(
        f"Coverage of 90% intervals, hosts divided {study['splits']} times: half calibrate, the others are "
        "judged."
    )
    constant = study["constant"]
    shown = [
        ("coverage, all hops", study["coverage"]),
        ("coverage, Li hops", study["coverage_li"]),
        ("upper over lower end, median", study["median_ratio"]),
        ("constant width: coverage, all hops", constant["coverage"]),
        ("constant width: coverage, Li hops", constant["coverage_li"]),
        ("constant width: upper over lower end", constant["median_ratio"]),
    ]
    print_table([{"what": what, **values} for what, values in shown if values is not None], SPREAD)
    low, high = WANTED
    wanted, least = study["share_wanted"], study["share_least"]
    print(
        f"{wanted:.0%} of the splits cover {low:.0%} to {high:.0%}, {least:.0%} at least {low:.0%}. "
        f"Wanted: a mean of {low:.0%} to {high:.0%}, of Li hops at least {WANTED_OF_ION:.0%}, and narrower "
        "than the constant width."
    )


def _difference(row: dict[str, Any]) -> dict[str, Any]:
    """Return the paired difference of a row of the comparison, and its Li hops, as people read them."""
    shown: dict[str, Any] = {"predictor": row["predictor"]}
    if row["difference"] is not None:
        shown["delta_mae_ev"] = row["difference"]["delta_mae_ev"]
        shown["delta_ci"] = _span(row["difference"]["delta_ci_ev"], sign="+")
        shown["delta_ci_hosts"] = _span(row["difference"]["delta_ci_hosts_ev"], sign="+")
    lithium = row["by_ion"].get("Li")
    if lithium is not None:
        shown |= {"li_n": lithium["n"], "li_mae_ev": lithium["mae_ev"]}
        shown["li_mae_ci"] = _span(lithium["intervals"]["mae_ev"])
        if lithium["difference"] is not None:
            shown["li_delta_ci"] = _span(lithium["difference"]["delta_ci_ev"], sign="+")
    return shown


def _span(ends: list[float], sign: str = "") -> str:
    low, high = ends
    return f"{low:{sign}.3f} to {high:{sign}.3f}"


def _ev(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f} eV"
