"""The table of docs/model-selection.md, by cross-validation: `python -m flows.cli.selection`."""

from __future__ import annotations

from flows.labelled import load_labelled
from models.selection import as_markdown, compare
from models.settings import TrainSettings

NETWORKS = TrainSettings().networks_alone()
BOTH_WAYS = "networks, asked in both directions"
CANDIDATES = {
    "the defaults: networks and trees": TrainSettings(),
    "networks alone": NETWORKS,
    "networks, logarithm of the barrier": NETWORKS.model_copy(update={"target_power": 0.0}),
    "networks, square root of the barrier": NETWORKS.model_copy(update={"target_power": 0.5}),
    "networks, no mixup": NETWORKS.model_copy(update={"mixup": 0.0}),
    BOTH_WAYS: NETWORKS.model_copy(update={"fold_paths": False}),
    "networks, 40 epochs at 0.003": NETWORKS.model_copy(update={"epochs": 40, "learning_rate": 0.003}),
}


def main() -> None:
    """Print the candidates on folds of whole hosts, two on folds of single rows, and two as ensembles."""
    # Trees and networks are to differ by what they are, so both are given the same descriptors.
    training = load_labelled("devi2025", "train").only(TrainSettings().groups)
    grouped = compare(training, CANDIDATES, splits=("grouped",), n_folds=5, members=1)
    print(as_markdown(grouped), flush=True)
    print()
    # Enough to see what knowing the hosts is worth.
    two = dict(list(CANDIDATES.items())[:2])
    print(as_markdown(compare(training, two, splits=("random",), n_folds=10, members=1)), flush=True)
    print()
    # A network that is asked in both directions is already the mean of two answers: told by ensembles.
    ways = {name: CANDIDATES[name] for name in ("networks alone", BOTH_WAYS)}
    print(as_markdown(compare(training, ways, splits=("grouped",), n_folds=10, members=3)), flush=True)


if __name__ == "__main__":
    main()
