"""The list of looks at published test hops: kept in order, and never forgotten for a shipped checkpoint."""

from __future__ import annotations

import json

import pytest

from models import test_looks
from models.card import render_card
from models.checkpoints import load_pretrained
from models.test_looks import DIGEST_DIGITS, Look, earlier_looks, kept_looks

OF_THE_TEST = "devi2025, published test split"


@pytest.fixture
def three(monkeypatch):
    looks = tuple(Look(digest=name * DIGEST_DIGITS, mae_ev=0.2, recipe="made up") for name in "abc")
    monkeypatch.setattr(test_looks, "kept_looks", lambda: {"some": looks})


@pytest.mark.usefixtures("three")
def test_what_came_before_is_told_and_what_came_after_is_not():
    assert earlier_looks("some", "a" * 64) == []
    assert earlier_looks("some", "c" * 64) == ["a" * DIGEST_DIGITS, "b" * DIGEST_DIGITS]
    assert len(earlier_looks("some", "d" * 64)) == 3
    assert earlier_looks("other", "a" * 64) == []


def test_no_checkpoint_stands_in_the_list_twice():
    for looks in kept_looks().values():
        digests = [look.digest for look in looks]
        assert len(set(digests)) == len(digests)
        assert all(len(digest) == DIGEST_DIGITS for digest in digests)


def test_the_shipped_checkpoint_is_the_last_that_was_judged_and_its_card_says_how_many_were():
    shipped = load_pretrained("published")
    looks = kept_looks()["devi2025"]
    assert looks[-1].digest == shipped.digest[:DIGEST_DIGITS]
    figures = shipped.metrics[OF_THE_TEST]
    assert looks[-1].mae_ev == pytest.approx(figures["mae_ev"], abs=1e-4)
    assert figures["judged_before"] == [look.digest for look in looks[:-1]]
    assert f"looked at for {len(looks) - 1} other checkpoints" in render_card(
        shipped.manifest().model_dump(mode="json")
    )


def test_the_list_is_read_as_it_is_written(monkeypatch, tmp_path):
    (tmp_path / "pretrained").mkdir()
    text = json.dumps({"some": [{"digest": "a", "mae_ev": 0.1, "recipe": "x", "more": 1}]})
    (tmp_path / "pretrained" / test_looks.LOOKS_NAME).write_text(text, encoding="utf-8")
    monkeypatch.setattr(test_looks.importlib.resources, "files", lambda _package: tmp_path)
    with pytest.raises(ValueError, match="more"):
        kept_looks()
