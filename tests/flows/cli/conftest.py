"""The command as a function, and a database for it to answer from."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from flows.cli.main import main
from tests.campaigns import Bench, write_bad, write_good


@pytest.fixture
def lihop(monkeypatch, capsys):
    """Run the command in this process; return its exit code and what it printed.

    An expected error is one message, a line that begins with the command's name, and no traceback.
    """

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["lihop", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        out, err = capsys.readouterr()
        said = [line for line in err.splitlines() if line.startswith("lihop: ")]
        one = "Traceback" not in err and len(said) == 1
        return SimpleNamespace(code=code, out=out, err=err, is_one_message=one)

    return run


@pytest.fixture(scope="session")
def screened(tmp_path_factory, checkpoint):
    """A database that holds good and bad materials."""
    bench = Bench(tmp_path_factory.mktemp("screened"), checkpoint)
    write_good(bench.folder)
    write_bad(bench.folder)
    bench.screen(max_file_mb=0.2)
    return bench


@pytest.fixture
def database(screened, monkeypatch):
    monkeypatch.setenv("LIHOP_DATABASE", str(screened.database))
    return screened.database
