"""A batch of materials: a row or a failure for each, and none costs another its result."""

from __future__ import annotations

import signal

import pytest
import spglib
from pymatgen.analysis.bond_valence import BVAnalyzer

from storage.records import Reason, Stage
from tasks.batches import prepare, reason_for
from tasks.candidates.cleaning import CleaningSettings
from tasks.candidates.source import RawMaterial, Rejected, RejectedError, SourceItem
from tasks.hops.errors import NoWorkingIonError, TooManyHopsError
from tasks.limits import TimeLimitError
from tests.campaigns import antifluorite, layered, rock_salt

LONG_S = 3600.0
FLUORINE = 9


class Shelf:
    """A source in memory: an item is a list of structures, or an error."""

    name = "shelf"

    def __init__(self, **items):
        self.content = items

    def items(self):
        return [SourceItem("shelf", name, name, name) for name in self.content]

    def read(self, item):
        found = self.content[item.item_id]
        if isinstance(found, Exception):
            raise found
        return [
            Rejected(f"{item.item_id}{k}", one)
            if isinstance(one, RejectedError)
            else RawMaterial(f"{item.item_id}{k}", one, "shelf")
            for k, one in enumerate(found)
        ]


def prepared(time_limit_s=None, **items):
    source = Shelf(**items)
    return prepare(
        source, [(item, f"key {item.item_id}") for item in source.items()], CleaningSettings(), time_limit_s
    )


class TestPrepare:
    def test_every_item_gets_a_stage_result_and_every_structure_a_row(self):
        done = prepared(
            both=[rock_salt("Li", "F", 4.03), rock_salt("Na", "Cl", 5.64)],
            broken=RejectedError(Reason.UNREADABLE_FILE, "no"),
            bug=ZeroDivisionError("oh"),
            good=[layered()],
            none=[],
        )
        assert [row.material_id for row in done.candidates] == ["both0", "good0"]
        assert {(row.material_id, row.reason) for row in done.failures} == {
            ("both1", Reason.NO_WORKING_ION),
            ("broken", Reason.UNREADABLE_FILE),
            ("bug", Reason.UNEXPECTED),
        }
        counts = {row.stage_key: row.n_rows for row in done.results}
        assert counts == {"key both": 2, "key broken": 1, "key bug": 1, "key good": 1, "key none": 0}

    def test_only_what_is_unexpected_carries_a_traceback(self):
        done = prepared(broken=RejectedError(Reason.UNREADABLE_FILE, "no"), bug=ZeroDivisionError())
        traces = {row.material_id: row.traceback for row in done.failures}
        assert traces["broken"] is None
        assert "ZeroDivisionError" in traces["bug"]
        assert {row.message for row in done.failures} == {"no", "ZeroDivisionError"}

    def test_a_refused_structure_keeps_its_formula(self):
        (failure,) = prepared(salt=[rock_salt("Na", "Cl", 5.64)]).failures
        assert (failure.formula, failure.stage_key, failure.stage) == ("NaCl", "key salt", Stage.CANDIDATES)

    def test_a_structure_that_cannot_be_read_costs_no_other_of_its_item(self):
        bad = RejectedError(Reason.UNREADABLE_FILE, "no", "LiX")
        done = prepared(some=[layered(), bad, rock_salt("Li", "F", 4.03)])
        assert [row.material_id for row in done.candidates] == ["some0", "some2"]
        (failure,) = done.failures
        assert (failure.material_id, failure.reason, failure.formula, failure.traceback) == (
            "some1", Reason.UNREADABLE_FILE, "LiX", None,
        )  # fmt: skip
        assert [row.n_rows for row in done.results] == [3]

    @pytest.mark.parametrize("where", [(BVAnalyzer, "get_valences"), (spglib, "get_symmetry_dataset")])
    def test_an_expiry_under_a_broad_handler_is_a_time_limit(self, monkeypatch, where):
        """Who asks for charges or symmetry takes any Exception for "none": an expiry must not look so."""
        real = getattr(*where)

        def slow(*args, **kwargs):
            if any(names_fluorine(arg) for arg in args):
                try:
                    signal.raise_signal(signal.SIGALRM)
                except Exception:  # noqa: BLE001 - what libraries write
                    return None
            return real(*args, **kwargs)

        monkeypatch.setattr(*where, slow)
        done = prepared(LONG_S, some=[layered(), rock_salt("Li", "F", 4.03), antifluorite("Li", "O", 4.62)])
        assert [row.material_id for row in done.candidates] == ["some0", "some2"]
        assert [(row.material_id, row.reason) for row in done.failures] == [("some1", Reason.TIME_LIMIT)]
        assert "raise --time-limit and add --retry time_limit" in done.failures[0].message


def names_fluorine(arg):
    """Say whether an argument is a structure with fluorine, of pymatgen's or spglib's kind."""
    if isinstance(arg, tuple):
        return FLUORINE in arg[2]
    return FLUORINE in getattr(arg, "atomic_numbers", ())


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RejectedError(Reason.NO_ANIONS, "x"), Reason.NO_ANIONS),
        (TooManyHopsError(9, 3, 4.0), Reason.TOO_MANY_HOPS),
        (NoWorkingIonError("x"), Reason.NO_WORKING_ION),
        (TimeLimitError("x"), Reason.TIME_LIMIT),
        (KeyError("x"), Reason.UNEXPECTED),
        (MemoryError(), Reason.UNEXPECTED),
    ],
)
def test_reasons(error, reason):
    assert reason_for(error) is reason
