"""Tables show what is in the rows, letter by letter."""

from __future__ import annotations

import pytest

from flows.cli.output import print_table


@pytest.mark.parametrize("text", [":smile:", "[red]x[/red]", "[/]", "\\[bold]"])
def test_nothing_is_read_as_markup(capsys, text):
    print_table([{"a": text}], {"a": f"{text} head"}, title=f"{text} title")
    assert capsys.readouterr().out.count(text) == 3
