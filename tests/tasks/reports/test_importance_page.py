"""The page about importances says what was found, whether or not it is what the paper found."""

from __future__ import annotations

import pytest

from tasks.reports.errors import FigureError
from tasks.reports.importance_figure import importance_figure
from tasks.reports.importance_page import beside_paper, importance_page


def _row(what, name, rise, low, spearman=0.1, groups=("local",), std=0.001):
    return {
        "what": what, "name": name, "groups": list(groups), "n_keys": 2, "rise_ev": rise,
        "rise_ci_ev": [low, rise + 0.01], "repeat_std_ev": std, "spearman": spearman,
        "strongest_key": None if spearman is None else f"key of {name}",
    }  # fmt: skip


def _found(*rows):
    return {
        "dataset": "devi2025", "split": "train, hosts held out", "method": "cnn", "groups": ["local"],
        "n": 40, "n_hosts": 10, "n_folds": 5, "members": 1, "repeats": 3, "median_guess_mae_ev": 0.5,
        "mae_ev": 0.3, "mae_ci_ev": [0.25, 0.35], "rows": list(rows),
    }  # fmt: skip


LIKE_PAPER = (
    _row("family", "all together", 0.5, 0.4, 0.9),
    _row("family", "d_min", 0.3, 0.2, -0.6),
    _row("family", "d_std", 0.2, 0.1, 0.4),
    _row("family", "H0 bars", 0.1, -0.1, 0.3),
    _row("family", "window", 0.0, -0.1, 0.2),
)
UNLIKE = (
    _row("family", "window", 0.3, 0.2, 0.2),
    _row("family", "d_min", 0.2, 0.1, -0.6),
    _row("family", "d_std", -0.01, -0.1, None),
)


def test_the_papers_order_found_or_not():
    assert "paper's order is found here" in "\n".join(beside_paper(_found(*LIKE_PAPER)))
    assert "paper's order is not found here" in "\n".join(beside_paper(_found(*UNLIKE)))


def test_places_are_counted_among_families_that_share_nothing():
    text = "\n".join(beside_paper(_found(*LIKE_PAPER)))
    assert "**d_min** is number 1 of 4" in text
    assert "**H0 bars** is number 3 of 4" in text
    assert text.count("cannot be told from nothing") == 1
    assert "all together" not in text


def test_what_was_not_taken_is_said():
    text = "\n".join(beside_paper(_found(*UNLIKE)))
    assert "**H0 bars**: no such descriptor" in text
    assert "**d_min** is number 2 of 3" in text
    # The strongest correlation is negative.
    assert "By correlation alone it is number 1 (-0.60" in text
    assert "number - (-, " in text


def test_page_holds_the_command_and_every_table():
    keys = [_row("key", f"key_{k}", 0.1 - 0.01 * k, 0.0, std=None) for k in range(30)]
    page = importance_page(_found(_row("group", "local", 0.4, 0.3), *LIKE_PAPER, *keys), "lihop evaluate so")
    assert "\nlihop evaluate so\n" in page
    assert "0.300 eV [0.250, 0.350]" in page
    assert "the first 25 of 30" in page
    assert "| `key_0` | local | +0.1000 | +0.0000 to +0.1100 | - | +0.10 |" in page
    assert "| d_min | 2 | +0.3000 | +0.2000 to +0.3100 | 0.0010 | -0.60 `key of d_min` |" in page
    assert "key_25" not in page


def test_figure_shows_families_and_keys():
    found = _found(*LIKE_PAPER, _row("key", "saddle_d_min_ang", 0.05, 0.01))
    figure = importance_figure(found)
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == [row["name"] for row in LIKE_PAPER]
    assert [patch.get_width() for patch in right.patches] == [0.05]
    with pytest.raises(FigureError, match="no descriptor"):
        importance_figure(_found())
