"""Runs of one campaign at the same time: the work is done once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from flows.campaign import run_campaign
from flows.progress import SilentReporter, reporting
from flows.turns import turn
from tests.campaigns import RecordingSteps, write_good


class Told(SilentReporter):
    def __init__(self):
        self.messages = []
        self.said = threading.Event()

    def message(self, text):
        self.messages.append(text)
        self.said.set()


def test_the_second_waits_for_the_first_and_says_so(tmp_path):
    told, entered = Told(), threading.Event()

    def second():
        with reporting(told), turn(tmp_path, "one"):
            entered.set()

    with ThreadPoolExecutor(1) as threads:
        with turn(tmp_path, "one"):
            waiting = threads.submit(second)
            assert told.said.wait(60)
            assert not entered.is_set()
        waiting.result(60)
    assert entered.is_set()
    assert "another run of the same campaign" in told.messages[0]


def test_other_campaigns_do_not_wait(tmp_path):
    told = Told()
    with reporting(told), turn(tmp_path, "one"), turn(tmp_path, "two"):
        pass
    assert told.messages == []


def test_two_runs_at_once_compute_everything_once(bench):
    write_good(bench.folder)
    steps = [RecordingSteps(), RecordingSteps()]
    start = threading.Barrier(2)

    def screen(one):
        start.wait()
        return run_campaign(bench.parameters(batch_size=2), one)

    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(screen, steps))
    assert sorted(summary.n_computed for summary in found) == [0, 4]
    assert [summary.n_with_result for summary in found] == [4, 4]
    ran = steps[0].ran + steps[1].ran
    assert [ran.count(stage) for stage in ("read", "featurize", "predict", "percolate")] == [2, 2, 2, 2]
