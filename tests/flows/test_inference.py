"""Barriers that somebody else predicts: the same results, and our own where nobody does."""

from __future__ import annotations

import threading

import pytest

from flows.campaign import run_campaign
from flows.inference import ElsewhereError, PredictParameters, in_groups
from flows.predicting import OtherModelError, predict_batches
from flows.progress import SilentReporter, reporting
from storage.errors import ShardError
from tasks.workers import Batch, predictions_stem, shard_path
from tests.campaigns import RecordingSteps, assert_same, write_good


def ask(stems):
    return PredictParameters(folder="nowhere", stems=stems, model_digest="0")


class There:
    """Predicts in this very process, remembering what it was asked, with something that goes wrong."""

    def __init__(self, wrong=lambda asked: None):
        self.asked = []
        self.wrong = wrong
        self.given_up = threading.Event()

    def give_up(self):
        self.given_up.set()

    def __call__(self, asked):
        self.asked.append(asked)
        self.wrong(asked)
        predict_batches(asked)


class Told(SilentReporter):
    def __init__(self):
        self.messages = []

    def message(self, text):
        self.messages.append(text)


def _refuse(asked):
    raise ElsewhereError("nobody is there")


def _screened(bench, elsewhere, **changes):
    steps, told = RecordingSteps(), Told()
    with reporting(told):
        summary = run_campaign(bench.parameters(batch_size=1, **changes), steps, elsewhere=elsewhere)
    return summary, steps, told.messages


@pytest.fixture
def expected(bench, tmp_path):
    """Return the tables of an ordinary run, made in a database of its own."""
    write_good(bench.folder)
    run_campaign(bench.parameters(batch_size=1), RecordingSteps())
    found = bench.tables()
    bench.database = tmp_path / "other" / "lihop.duckdb"
    return found


def test_what_is_predicted_elsewhere_is_the_same(bench, expected):
    there = There()
    summary, steps, messages = _screened(bench, there)
    assert_same(bench.tables(), expected)
    assert summary.n_with_result == len(bench.rankings()) == 4
    assert "predict" not in steps.ran
    assert [len(asked.stems) for asked in there.asked] == [4]
    assert messages == []
    assert not there.given_up.is_set()


def test_where_nobody_is_it_is_predicted_here_and_said(bench, expected):
    _, steps, messages = _screened(bench, There(_refuse))
    assert_same(bench.tables(), expected)
    assert steps.ran.count("predict") == 4
    assert messages == ["barriers are predicted in this process: nobody is there"]


def test_what_cannot_be_seen_afterwards_is_predicted_here(bench, expected):
    """As from a machine that has another folder under that name."""

    class Blind(There):
        def __call__(self, asked):
            super().__call__(asked)
            name = predictions_stem(asked.stems[0], asked.model_digest)
            shard_path(asked.folder, name, "predictions").unlink()

    _, steps, _ = _screened(bench, Blind())
    assert_same(bench.tables(), expected)
    assert steps.ran.count("predict") == 1


def test_damaged_predictions_are_computed_again(bench, expected):
    class Careless(There):
        def __call__(self, asked):
            super().__call__(asked)
            if len(self.asked) == 1:
                name = predictions_stem(asked.stems[0], asked.model_digest)
                path = shard_path(asked.folder, name, "predictions")
                path.write_bytes(path.read_bytes()[:-40])

    _, _, messages = _screened(bench, Careless())
    assert_same(bench.tables(), expected)
    assert any("could not be trusted" in message for message in messages)


def test_an_unexpected_error_elsewhere_ends_the_run_and_what_was_done_stays(bench, expected):
    def wrong(asked):
        raise RuntimeError("no such thing")

    with pytest.raises(RuntimeError, match="no such thing"):
        _screened(bench, There(wrong))
    _, steps, _ = _screened(bench, There())
    assert "featurize" not in steps.ran
    assert_same(bench.tables(), expected)


def test_another_model_of_that_name_is_refused(bench, expected):
    with pytest.raises(OtherModelError, match="install the same"):
        _screened(
            bench, There(lambda asked: predict_batches(asked.model_copy(update={"model_digest": "1" * 64})))
        )


def _batches(count, drawn):
    for number in range(count):
        drawn.append(number)
        yield Batch(f"batch-{number}", (), 1)


class Slow:
    """Answers when it is told to."""

    def __init__(self):
        self.may, self.asked, self.given_up = threading.Event(), [], threading.Event()

    def give_up(self):
        self.given_up.set()
        self.may.set()

    def __call__(self, asked):
        self.asked.append(asked.stems)
        self.may.wait()


def test_more_is_drawn_while_a_group_is_away_and_groups_are_no_larger_than_asked():
    drawn, slow = [], Slow()

    def batches():
        yield from _batches(9, drawn)
        slow.may.set()

    found = [(len(group), why) for group, why in in_groups(batches(), slow, ask, size=4)]
    assert found == [(4, None), (4, None), (1, None)]
    assert slow.asked[0] == tuple(f"batch-{number}" for number in range(4))
    assert [stem for stems in slow.asked for stem in stems] == [f"batch-{number}" for number in range(9)]


def test_nothing_is_sent_where_nothing_comes():
    slow = Slow()
    assert list(in_groups(iter(()), slow, ask)) == []
    assert slow.asked == []


def test_who_stops_listening_gives_up_what_is_away():
    slow = Slow()

    def batches():
        yield from _batches(5, [])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(in_groups(batches(), slow, ask, size=2))
    assert slow.given_up.is_set()


def test_leaving_early_gives_up_too():
    slow = Slow()
    slow.may.set()
    groups = in_groups(_batches(6, []), slow, ask, size=2)
    next(groups)
    groups.close()
    assert slow.given_up.is_set()


def test_a_damaged_batch_is_an_error_of_its_own(bench, expected):
    """Descriptors that cannot be trusted elsewhere are looked at again here, where they are computed anew."""

    def wrong(asked):
        raise ElsewhereError(str(ShardError("descriptors of one batch are damaged")))

    _, _, messages = _screened(bench, There(wrong))
    assert_same(bench.tables(), expected)
    assert "damaged" in messages[0]
