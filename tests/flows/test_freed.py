"""What a screening lets go of goes back to the system, so that its process does not grow with materials."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from flows import computing
from tests.campaigns import GOOD, write_good

HOLES_MB = 200
HOLES = f"""
from flows.bench.peak import own_memory_mb
# Below what glibc asks the system for by itself, so that they come from an arena.
pieces = [bytearray(b"x" * 65536) for _ in range({HOLES_MB} * 16)]
kept = pieces[::100]
pieces = []
before = own_memory_mb()
assert give_back_freed()
print(before - own_memory_mb())
"""
RING = """
import gc, weakref
class Ring:
    def __init__(self):
        self.me = self
gc.collect()
gc.disable()
ring = Ring()
seen = weakref.ref(ring)
del ring
print(seen() is None)
give_back_freed()
print(seen() is None)
"""
WITHOUT = """
import ctypes
def without(name):
    raise {}
ctypes.CDLL = without
print(give_back_freed())
"""


def alone(code):
    """Run code in a process of its own, which has no more to say than it prints; return that."""
    done = subprocess.run(
        [sys.executable, "-c", f"from flows.running.freed import give_back_freed\n{code}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked to")
def test_holes_between_what_is_kept_go_back_to_the_system():
    (given,) = alone(HOLES)
    assert float(given) > HOLES_MB / 2


def test_what_refers_to_itself_goes_too():
    assert alone(RING) == ["False", "True"]


@pytest.mark.parametrize("missing", ["AttributeError", "OSError", "TypeError"])
def test_without_glibc_nothing_is_given_back(missing):
    assert alone(WITHOUT.format(missing)) == ["False"]


def test_a_process_ends_without_complaints():
    """Frozen objects that Python does not take down are leaks to bindings, which say so on standard error."""
    assert alone("import duckdb\ngive_back_freed()\nduckdb.sql('SELECT 1')") == []


def test_a_screening_gives_back_as_it_goes(bench, monkeypatch):
    given = []
    monkeypatch.setattr(computing, "BLOCK", 2)
    monkeypatch.setattr(computing, "give_back_freed", lambda: given.append(1))
    write_good(bench.folder)
    bench.screen(batch_size=1)
    # In each of its stages: the last begins when the others are over.
    assert len(given) == 3 * len(GOOD) // 2
