"""What a screening lets go of goes back to the system, so that its process does not grow with materials."""

from __future__ import annotations

import gc
import platform
import subprocess
import sys
import weakref

import pytest

from flows import computing
from flows.bench.peak import own_memory_mb
from flows.running import freed
from flows.running.freed import give_back_freed
from tests.campaigns import GOOD, write_good

HELD_MB = 200
PIECE = 64 * 1024
"""Below what glibc asks the system for by itself, so that it comes from an arena."""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked to")
def test_holes_between_what_is_kept_go_back_to_the_system():
    pieces = [bytearray(b"x" * PIECE) for _ in range(HELD_MB * 1024 * 1024 // PIECE)]
    kept = pieces[::100]
    pieces = []
    before = own_memory_mb()
    assert give_back_freed()
    assert own_memory_mb() < before - HELD_MB / 2
    assert len(kept) > 1


def test_what_refers_to_itself_goes_too():
    class Ring:
        def __init__(self):
            self.me = self

    ring = Ring()
    seen = weakref.ref(ring)
    gc.collect()
    del ring
    give_back_freed()
    assert seen() is None


@pytest.mark.parametrize("missing", [AttributeError, OSError, TypeError])
def test_without_glibc_nothing_is_done(monkeypatch, missing):
    def without(_name):
        raise missing

    freed._trim.cache_clear()
    monkeypatch.setattr(freed.ctypes, "CDLL", without)
    assert not give_back_freed()
    freed._trim.cache_clear()


def test_a_screening_gives_back_as_it_goes(bench, monkeypatch):
    given = []
    monkeypatch.setattr(computing, "BLOCK", 2)
    monkeypatch.setattr(computing, "give_back_freed", lambda: given.append(1))
    write_good(bench.folder)
    bench.screen(batch_size=1)
    # In each of its stages: the last begins when the others are over.
    assert len(given) == 3 * len(GOOD) // 2


def test_a_process_ends_without_complaints():
    """Frozen objects that Python does not take down are leaks to bindings, which say so on standard error."""
    code = (
        "import duckdb; from flows.running.freed import give_back_freed; "
        "give_back_freed(); duckdb.sql('SELECT 1')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
