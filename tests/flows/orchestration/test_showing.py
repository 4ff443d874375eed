"""Progress in the Prefect UI: an artifact a stage, seldom changed, and never in the way of a run."""

from __future__ import annotations

import logging
from uuid import uuid4

import pytest

from flows.orchestration.showing import AFTER_FAILURE_S, INTERVAL_S, ProgressArtifacts, interval_s
from flows.progress import SilentReporter, Together, messages, reporter


class Wall:
    """Artifacts that remember what was shown, or fail."""

    def __init__(self):
        self.calls = []
        self.keys = {}
        self.error = None
        self.closed = False

    def create(self, key, percent, text):
        self._call(key, percent, text)
        identifier = uuid4()
        self.keys[identifier] = key
        return identifier

    def update(self, artifact, percent, text):
        self._call(self.keys[artifact], percent, text)

    def close(self):
        self.closed = True

    def _call(self, key, percent, text):
        self.calls.append((key, percent, text))
        if self.error is not None:
            raise self.error


class Clock:
    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def wall():
    return Wall()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def shown(wall, clock):
    return ProgressArtifacts(wall, logging.getLogger("tests.showing"), clock=clock)


def test_a_stage_is_an_artifact_that_says_how_far_it_is(shown, wall, clock):
    shown.stage("hops and descriptors", 8)
    shown.show()
    clock.now_s += INTERVAL_S
    shown.advance("hops and descriptors", 2)
    shown.show()
    assert wall.calls == [
        ("progress-hops-and-descriptors", 0.0, "Hops and descriptors: 0 of 8 materials"),
        ("progress-hops-and-descriptors", 25.0, "Hops and descriptors: 2 of 8 materials"),
    ]


def test_it_is_changed_seldom_and_once_more_at_the_end(shown, wall, clock):
    n_advances, step_s = 1000, 0.01
    shown.stage("reading", n_advances)
    for _ in range(n_advances):
        shown.advance("reading", 1)
        shown.show()
        clock.now_s += step_s
    shown.show(last=True)
    assert len(wall.calls) <= n_advances * step_s / INTERVAL_S + 2
    assert wall.calls[-1] == ("progress-reading", 100.0, "Reading: 1000 of 1000 materials")
    told = len(wall.calls)
    shown.show(last=True)
    assert len(wall.calls) == told


def test_a_long_run_changes_it_less_often():
    assert [interval_s(elapsed_s) for elapsed_s in (0.0, 40.0, 100.0, 1e5)] == [2.0, 2.0, 5.0, 10.0]


def test_stages_do_not_wait_for_each_other(shown, wall):
    shown.stage("barriers", 2)
    shown.stage("percolation", 2)
    shown.show()
    assert [key for key, _, _ in wall.calls] == ["progress-barriers", "progress-percolation"]


def test_a_stage_with_nothing_to_do_asks_nothing_of_the_api(shown, wall):
    shown.stage("reading", 0)
    shown.show(last=True)
    assert wall.calls == []


def test_a_stage_that_begins_anew_keeps_its_artifact(shown, wall, clock):
    shown.stage("reading", 4)
    shown.advance("reading", 4)
    shown.show()
    shown.stage("reading", 0)
    clock.now_s += INTERVAL_S
    shown.show()
    shown.stage("reading", 2)
    shown.advance("reading", 1)
    shown.show(last=True)
    assert len(wall.keys) == 1
    assert [percent for _, percent, _ in wall.calls] == [100.0, 100.0, 50.0]


def test_more_than_was_expected_is_no_more_than_all(shown, wall):
    shown.stage("index", 2)
    shown.advance("index", 3)
    shown.show()
    assert wall.calls[0][1] == 100.0


def test_an_api_that_fails_is_told_of_once_and_left_alone_for_a_while(shown, wall, clock, caplog):
    shown.stage("reading", 10)
    wall.error = ConnectionError("the server is away\nand more")
    for _ in range(50):
        shown.advance("reading", 0)
        shown.show()
        clock.now_s += 0.5
    assert len(wall.calls) == 2
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [record.getMessage() for record in warnings] == [
        "Progress cannot be shown, and the run goes on: the server is away"
    ]
    wall.error = None
    clock.now_s += AFTER_FAILURE_S
    shown.advance("reading", 5)
    shown.show()
    assert wall.calls[-1] == ("progress-reading", 50.0, "Reading: 5 of 10 materials")


def test_messages_go_to_the_log_of_the_run(shown, caplog):
    with caplog.at_level(logging.INFO, logger="tests.showing"):
        shown.message("17 % of them are new")
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.INFO, "17 % of them are new")
    ]


def test_warnings_are_warnings_there(shown, caplog):
    with caplog.at_level(logging.INFO, logger="tests.showing"):
        Together(shown).warning("nobody is at work in the pool")
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, "nobody is at work in the pool")
    ]


def test_elsewhere_a_warning_is_a_message_as_any_other(capsys):
    with messages():
        reporter().warning("nobody is at work in the pool")
    assert capsys.readouterr().err == "nobody is at work in the pool\n"


def test_its_thread_shows_the_last_state_and_ends(wall):
    shown = ProgressArtifacts(wall, logging.getLogger("tests.showing"))
    shown.start()
    shown.stage("reading", 3)
    shown.advance("reading", 3)
    shown.close()
    assert wall.calls[-1] == ("progress-reading", 100.0, "Reading: 3 of 3 materials")
    assert wall.closed
    assert not shown._thread.is_alive()


def test_several_reporters_are_told_the_same():
    class Listener(SilentReporter):
        def __init__(self):
            self.heard = []

        def stage(self, name, total):
            self.heard.append((name, total))

        def advance(self, name, count):
            self.heard.append((name, count))

        def message(self, text):
            self.heard.append(text)

    one, other = Listener(), Listener()
    both = Together(one, other)
    both.stage("reading", 2)
    both.advance("reading", 1)
    both.message("hello")
    assert one.heard == other.heard == [("reading", 2), ("reading", 1), "hello"]
