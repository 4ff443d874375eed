"""The model card: what people need to know of a checkpoint, rendered from its JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_METRIC_COLUMNS = (
    "measured on", "hops", "MAE (eV)", "median error (eV)", "RMSE (eV)", "R²", "Spearman", "90% covers",
)  # fmt: skip
_TEMPLATE = """# Model card: {name}

{made_of}
It predicts the vacancy migration barrier of one ion hop, in eV, from the descriptor groups
{groups}.

| | |
|---|---|
| digest | `{digest}` |
| trained on | {trained_on} ({n_training_hops} hops) |
| code version | {code_version} |
| descriptor versions | {versions} |

## Intended use

Ranking cathode candidates before density-functional or nudged-elastic-band calculations. A predicted barrier
comes with a 90% interval and a flag that says whether the hop resembles the training hops; outside that
domain neither is to be trusted. It is no substitute for a calculation of the barrier.

## Uncertainty

Interval: conformal, from residuals of {n_rows} training hops of {n_hosts} hosts, predicted by ensembles that
had not seen their host. Typical half-width: a factor of {factor:.2f}. Left beside the members' spread, in
log(barrier): {hop_std:.3f} for each hop by itself, {material_std:.3f} shared by the hops of one material.

## Measured

{metrics}

## Settings

{settings}
"""


def render_card(manifest: Mapping[str, Any]) -> str:
    """Return the card as Markdown."""
    calibration = manifest["calibration"]
    settings = manifest["settings"]
    groups = manifest["spec"]["groups"]
    return _TEMPLATE.format(
        name=manifest["name"],
        made_of=_made_of(settings),
        digest=manifest["digest"],
        trained_on=manifest["trained_on"],
        n_training_hops=manifest["n_training_hops"],
        code_version=manifest["code_version"],
        groups=", ".join(f"`{group['name']}`" for group in groups),
        versions=", ".join(f"{group['name']} {group['version']}" for group in groups),
        n_rows=calibration["n_rows"],
        n_hosts=calibration["n_hosts"],
        factor=2.718281828459045 ** calibration["mean_half_width_log"],
        hop_std=calibration["hop_residual_log_std"],
        material_std=calibration["material_residual_log_std"],
        metrics=_metrics_table(manifest["metrics"]),
        settings=_table(("setting", "value"), list(settings.items())),
    )


def _made_of(settings: Mapping[str, Any]) -> str:
    networks = f"An ensemble of {settings['members']} networks of architecture `{settings['arch']}`"
    if not settings["trees"]:
        return f"{networks}."
    return (
        f"{networks} and {settings['trees']} extremely randomised trees,\n"
        f"whose log barrier has the weight {settings['tree_share']:g} in the average."
    )


def _metrics_table(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    if not metrics:
        return "Nothing yet."
    rows: list[tuple[Any, ...]] = []
    for name, values in metrics.items():
        rows.append(_metrics_row(name, values))
        rows += [
            _metrics_row(f"{name}: baseline {baseline}", figures)
            for baseline, figures in values.get("baselines", {}).items()
        ]
    looked = [
        _looked(name, values["judged_before"])
        for name, values in metrics.items()
        if "judged_before" in values
    ]
    return "\n\n".join([_table(_METRIC_COLUMNS, rows), *looked])


def _looked(name: str, before: Sequence[str]) -> str:
    if not before:
        return f"{name}: looked at for no other checkpoint of ours before."
    listed = ", ".join(f"`{digest}`" for digest in before)
    return (
        f"{name}: looked at for {len(before)} other checkpoints of ours before ({listed}). No choice was "
        "made by it, but every look makes such figures a little less of a surprise."
    )


def _metrics_row(name: str, values: Mapping[str, Any]) -> tuple[Any, ...]:
    keys = ("n", "mae_ev", "median_error_ev", "rmse_ev", "r2", "spearman", "coverage_90")
    return (name, *(_shown(values.get(key)) for key in keys))


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _table(header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
