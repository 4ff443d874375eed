"""Judging a barrier model: a checkpoint on hops that it has not seen, and what its descriptors are worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from flows.contest import CHECKPOINT, Contest, comparison, peer_values, peers_of, run_contest
from flows.labelled import joined, load_labelled
from flows.refitting import committed_folds
from models.locate import find_checkpoint
from tasks.datasets.errors import NoSuchSplitError
from tasks.descriptors.assemble import INPUT_SPEC

if TYPE_CHECKING:
    from collections.abc import Mapping

    from models.arrays import LabelledArrays
    from models.checkpoints import Checkpoint
    from models.predictor import Predictions
    from models.refits import OutOfFold

Split = Literal["published", "grouped"]
PUBLISHED: Split = "published"
GROUPED: Split = "grouped"
SHIPPED = "published"
HOSTS_HELD_OUT = "train, hosts held out"


@dataclass(frozen=True)
class Judgement:
    """A checkpoint, or its recipe, beside the truth of hops that it has not seen.

    Parameters
    ----------
    figures : dict
        Metrics, baselines and what they are of, in plain types.
    test : LabelledArrays
        The rows of the split.
    predictions : Predictions
        In the same order.
    """

    figures: dict[str, Any]
    test: LabelledArrays
    predictions: Predictions


@dataclass(frozen=True)
class Asked:
    """What a judgement is to hold.

    Parameters
    ----------
    model : str
        Name of a shipped checkpoint, or a folder.
    dataset : str
        Name of the data set.
    split : {"published", "grouped"}
        `published` judges the checkpoint on the authors' test split. `grouped` refits its recipe without each
        fold of the data set's fold file, whole hosts held out, and judges that on all hops.
    members : int, optional
        Networks in each fold's ensemble; as many as the checkpoint has, unless told otherwise.
    compare : bool
        Whether to refit every kind of network as well and to put all predictors into one table.
    coverage_splits : int, optional
        Over how many divisions of the hosts to measure coverage; only for `grouped`.
    data_dir : str, optional
        Folder that holds the data set's folder.
    workers : int
        Processes that describe hops and fit; the figures do not depend on their number.
    keep : bool
        Whether to write the figures into the checkpoint's card.
    """

    model: str = SHIPPED
    dataset: str = "devi2025"
    split: Split = PUBLISHED
    members: int | None = None
    compare: bool = False
    coverage_splits: int | None = None
    data_dir: str | None = None
    workers: int = 2
    keep: bool = False

    def __post_init__(self) -> None:
        from models.errors import InputError

        if self.split not in (PUBLISHED, GROUPED):
            raise InputError(
                f"--split {self.split}: there is no such split; there are: {PUBLISHED}, {GROUPED}"
            )
        if self.split == PUBLISHED and (self.members is not None or self.coverage_splits is not None):
            raise InputError(
                f"--members and --coverage refit a recipe and go with --split {GROUPED}; --split {PUBLISHED} "
                "judges a checkpoint as it is"
            )
        for name, value in (("--members", self.members), ("--splits", self.coverage_splits)):
            if value is not None and value < 1:
                raise InputError(f"{name} {value}: give at least 1")


def evaluate(asked: Asked | None = None) -> dict[str, Any]:
    """Judge a checkpoint as `judge` does, and return the figures alone."""
    return judge(asked).figures


def judge(asked: Asked | None = None) -> Judgement:
    """Judge a checkpoint on hops that it has not seen, or its recipe on hosts held out.

    Parameters
    ----------
    asked : Asked, optional
        Which checkpoint, data set and split; the shipped one on the published split unless told otherwise.

    Raises
    ------
    SeenRowsError
        When the checkpoint was trained on a row that it is to be judged on as it is.
    """
    from models.checkpoints import load

    asked = Asked() if asked is None else asked
    folder = find_checkpoint(asked.model)
    checkpoint = load(folder, expected=INPUT_SPEC)
    judged = _judge_recipe(asked, checkpoint) if asked.split == GROUPED else _judge_as_is(asked, checkpoint)
    if asked.keep:
        apart = {"dataset", "split", "model_digest"}
        figures = {key: value for key, value in judged.figures.items() if key not in apart}
        named = {PUBLISHED: "published test split", GROUPED: "recipe refitted, hosts held out"}[asked.split]
        checkpoint.with_metrics(f"{asked.dataset}, {named}", figures).save(folder)
    return judged


def _judge_as_is(asked: Asked, checkpoint: Checkpoint) -> Judgement:
    """Judge a checkpoint on the published test split."""
    from models.refits import AS_SHIPPED
    from models.test_looks import earlier_looks

    test = load_labelled(asked.dataset, "test", data_dir=asked.data_dir, workers=asked.workers)
    checkpoint.refuse_seen(test.ids)
    try:
        training = load_labelled(asked.dataset, "train", data_dir=asked.data_dir, workers=asked.workers)
    except NoSuchSplitError:
        training = None
    contest = Contest(
        rows=test if training is None else joined([training, test]),
        fold_of_row=np.repeat([0, AS_SHIPPED], [0 if training is None else len(training), len(test)]),
        held_out=(AS_SHIPPED,),
        settings=checkpoint.settings,
        members=checkpoint.settings.members,
    )
    if training is None:
        found: dict[str, OutOfFold] = {}
    else:
        # Refitted only to say how long that takes: what is judged is the checkpoint.
        found = run_contest(contest, recipe=asked.compare, networks=asked.compare, workers=asked.workers)
    judged = _judgement(asked, checkpoint, contest, found, checkpoint.predict(test.inputs))
    judged.figures["judged_before"] = earlier_looks(asked.dataset, checkpoint.digest)
    if training is None:
        judged.figures["baselines_note"] = (
            f"{asked.dataset} has no train split: nothing that has to be fitted stands beside the model."
        )
    return judged


def _judge_recipe(asked: Asked, checkpoint: Checkpoint) -> Judgement:
    """Judge a checkpoint's recipe on all hops, refitted without each fold of whole hosts."""
    from models.coverage import coverage_study
    from models.refits import nested_predictions

    rows = load_labelled(asked.dataset, "all", data_dir=asked.data_dir, workers=asked.workers)
    folds = committed_folds(asked.dataset, rows)
    contest = Contest(
        rows=rows,
        fold_of_row=folds,
        held_out=tuple(int(fold) for fold in np.unique(folds)),
        settings=checkpoint.settings,
        members=checkpoint.settings.members if asked.members is None else asked.members,
    )
    found = run_contest(contest, recipe=True, networks=asked.compare, workers=asked.workers)
    own = found[CHECKPOINT]
    judged = _judgement(asked, checkpoint, contest, found, nested_predictions(rows, own, folds))
    judged.figures.update(
        n_folds=len(contest.held_out),
        members=contest.members,
        fit_seconds=own.seconds,
    )
    if asked.coverage_splits is not None:
        judged.figures["coverage"] = coverage_study(
            rows, own.member_log_barriers, splits=asked.coverage_splits
        )
    return judged


def _judgement(
    asked: Asked,
    checkpoint: Checkpoint,
    contest: Contest,
    found: Mapping[str, OutOfFold],
    predictions: Predictions,
) -> Judgement:
    """Put the figures together."""
    from models.baselines import BASELINES
    from models.comparison import paired_difference
    from models.evaluation import evaluate_arrays

    test = contest.rows.take(contest.judged)
    peers = peers_of(test.ids, asked.data_dir)
    others = {name: found[name].barrier_ev[contest.judged] for name in BASELINES if name in found}
    others |= {peer.name: peer_values(peer, test.ids) for peer in peers}
    figures = evaluate_arrays(
        test,
        predictions,
        dataset=asked.dataset,
        split=asked.split,
        model_digest=checkpoint.digest,
        others=others,
    )
    figures["n_hosts"] = len(set(test.hosts))
    figures["peers"] = [peer.note for peer in peers]
    for name, theirs in figures["baselines"].items():
        theirs["difference"] = paired_difference(
            test.barrier_ev, others[name], predictions.barrier_ev, test.hosts
        )
    if asked.compare:
        figures["comparison"] = comparison(contest, checkpoint, predictions.barrier_ev, found, peers)
    return Judgement(figures, test, predictions)
