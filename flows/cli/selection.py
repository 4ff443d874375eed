"""The table of docs/model-selection.md, by cross-validation: `python -m flows.cli.selection`."""

from __future__ import annotations

from flows.labelled import load_labelled
from models.selection import as_markdown, compare
from models.settings import TrainSettings

CANDIDATES = {
    "the defaults": TrainSettings(),
    "25 epochs": TrainSettings(epochs=25),
    "2 residual blocks": TrainSettings(blocks=2),
    "learning rate 0.001": TrainSettings(learning_rate=0.001),
    "input noise 0.3": TrainSettings(input_noise=0.3),
    "input dropout 0.5": TrainSettings(input_dropout=0.5),
    "16 hidden, 48 fused, dropout 0.3": TrainSettings(hidden=16, fused=48, dropout=0.3),
}


def main() -> None:
    """Print the candidates on 5 folds, then the defaults on 10."""
    training = load_labelled("devi2025", "train")
    grouped = compare(training, CANDIDATES, splits=("grouped",), n_folds=5, members=2)
    print(as_markdown(grouped), flush=True)
    print()
    defaults = {"the defaults": TrainSettings()}
    print(as_markdown(compare(training, defaults, n_folds=10, members=3)), flush=True)


if __name__ == "__main__":
    main()
