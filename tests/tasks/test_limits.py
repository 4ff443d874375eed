"""The time limit fires, and leaves signals as it found them."""

from __future__ import annotations

import signal
import threading
from contextlib import suppress

import pytest

from tasks.limits import TimeLimitError, time_limit

LONG_S = 3600.0


@pytest.fixture(autouse=True)
def _no_other_timer():
    """Put the test runner's own timer aside, which is the same one."""
    left_s, every_s = signal.setitimer(signal.ITIMER_REAL, 0)
    yield
    signal.setitimer(signal.ITIMER_REAL, left_s, every_s)


def loop_without_end():
    while True:
        pass


def test_fires_in_a_loop_without_end():
    remedy = r"longer than 0\.02 s; raise --time-limit and add --retry time_limit"
    with pytest.raises(TimeLimitError, match=remedy), time_limit(0.02):
        loop_without_end()


def expire():
    """Let the limit be reached in this very call."""
    signal.raise_signal(signal.SIGALRM)


def test_a_handler_for_any_exception_does_not_stop_it():
    passed = []

    def body():
        for turn in range(3):
            try:
                expire()
            except Exception:  # noqa: BLE001 - what libraries write
                passed.append(turn)

    with pytest.raises(TimeLimitError), time_limit(LONG_S):
        body()
    assert passed == []


def swallow():
    with suppress(BaseException):
        expire()


def translate():
    try:
        expire()
    except BaseException as error:
        raise ValueError("this way does not work") from error


@pytest.mark.parametrize("body", [swallow, translate])
def test_what_became_of_it_in_the_body_does_not_matter(body):
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(TimeLimitError, match="longer than 3600 s"), time_limit(LONG_S):
        body()
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_an_interruption_by_a_person_stays_one():
    def body():
        swallow()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), time_limit(LONG_S):
        body()


def test_handler_and_timer_are_restored_after_it_fired():
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(TimeLimitError), time_limit(LONG_S):
        signal.raise_signal(signal.SIGALRM)
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.mark.parametrize("error", [None, KeyError])
def test_handler_and_timer_are_restored_when_it_did_not_fire(error):
    before = signal.getsignal(signal.SIGALRM)
    try:
        with time_limit(LONG_S):
            assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
            if error is not None:
                raise error
    except KeyError:
        pass
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_timer_that_was_set_before_goes_on():
    signal.setitimer(signal.ITIMER_REAL, LONG_S, 60.0)
    with time_limit(1.0):
        assert signal.getitimer(signal.ITIMER_REAL)[0] <= 1.0
    left_s, every_s = signal.getitimer(signal.ITIMER_REAL)
    assert (left_s > 60.0, every_s) == (True, 60.0)


def test_none_is_no_limit():
    before = signal.getsignal(signal.SIGALRM)
    with time_limit(None):
        assert signal.getsignal(signal.SIGALRM) is before


def test_another_thread_leaves_the_timer_alone():
    found = []

    def body():
        with time_limit(LONG_S):
            found.append(signal.getitimer(signal.ITIMER_REAL)[0])

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert found == [0.0]


def in_thread(body):
    """Run a body in another thread; return the error that it ended with."""
    ended = []

    def run():
        try:
            body()
        except BaseException as error:  # noqa: BLE001 - what else is there to look at
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    return ended[0] if ended else None


def limited(seconds, body):
    def run():
        with time_limit(seconds):
            body()

    return run


def test_fires_in_another_thread():
    error = in_thread(limited(0.02, loop_without_end))
    assert isinstance(error, TimeLimitError)
    assert "longer than 0.02 s; raise --time-limit" in str(error)


def test_what_is_swallowed_in_another_thread_is_raised_all_the_same():
    def body():
        with suppress(BaseException):
            loop_without_end()

    assert isinstance(in_thread(limited(0.02, body)), TimeLimitError)


def test_another_thread_is_left_alone_once_its_body_is_done():
    def body():
        for _ in range(200):
            with suppress(TimeLimitError), time_limit(1e-4):
                sum(range(500))
        # Long enough for any error that is still on its way to arrive.
        for _ in range(100_000):
            pass

    assert in_thread(body) is None
