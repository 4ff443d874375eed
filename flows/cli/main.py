"""The `lihop` command: its sub-commands, and how an error becomes a message and an exit code."""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import version
from typing import Annotated

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from flows.cli import (
    bench,
    data,
    database,
    doctor,
    evaluating,
    exporting,
    results,
    runs,
    screening,
    serving,
    syncing,
    training,
)  # fmt: skip
from flows.cli.errors import BAD_USAGE, NOTHING_USABLE, NothingUsableError, UsageError
from flows.cli.refusals import readable
from flows.orchestration.errors import OrchestrationError
from models.errors import ModelError
from storage.errors import StorageError
from tasks.candidates.source import EmptySourceError, RejectedError, SourceError
from tasks.datasets.errors import DatasetError
from tasks.hops.errors import HopsError

# What is wrong with what was asked for, in words that say so; of a path that cannot be used the system does.
EXPECTED = (
    UsageError, SourceError, RejectedError, HopsError, StorageError, ModelError, DatasetError,
    OrchestrationError, OSError,
)  # fmt: skip

app = typer.Typer(
    name="lihop",
    help="Screens battery cathodes for fast ion migration: hops, barriers, percolation, in SQL.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def common(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Screen battery cathodes for fast ion migration."""
    if show_version:
        print(f"lihop {version('lihop')}")
        raise typer.Exit


for module in (
    screening, syncing, results, exporting, runs, database, training, evaluating, data, doctor, serving,
    bench,
):  # fmt: skip
    module.register(app)


def main() -> None:
    """Run the command line; expected errors end in one line and an exit code, not in a traceback."""
    ended = _ended_with()
    # Only here, after the handlers: what the error's traceback holds, database connections say, is let go
    # of before the interpreter ends.
    if ended is not None:
        message, code = ended
        print(f"lihop: {message}", file=sys.stderr)
        sys.exit(code)


def _ended_with() -> tuple[str, int] | None:
    """Run the command; return the message and the exit code of an expected error."""
    try:
        app()
    except (NothingUsableError, EmptySourceError) as error:
        return str(error), NOTHING_USABLE
    except ValidationError as error:
        return readable(error), BAD_USAGE
    except tomllib.TOMLDecodeError as error:
        return f"lihop.toml cannot be read: {error}; correct that line", BAD_USAGE
    except SettingsError as error:
        return f"{error}; give a list as JSON, as in LIHOP_RETRY='[\"time_limit\"]'", BAD_USAGE
    except BrokenPipeError:
        # Whoever read the output, `head` say, has seen enough.
        sys.stderr.close()
        sys.exit(0)
    except EXPECTED as error:
        return str(error), BAD_USAGE
    return None


if __name__ == "__main__":
    main()
