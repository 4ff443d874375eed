"""Runs the reference server of optimade-python-tools: ``python -m tests.servers.optimade_reference``.

It prints its URL on 127.0.0.1, and serves the structures that come with the package, from memory.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import tempfile
import warnings

ALIASES = {
    "id": "task_id",
    "chemical_formula_descriptive": "pretty_formula",
    "chemical_formula_reduced": "pretty_formula",
    "chemical_formula_anonymous": "formula_anonymous",
}
"""What its documents call fields by other names than the standard."""


def main() -> None:
    """Serve until the process ends."""
    os.environ["OPTIMADE_LOG_DIR"] = tempfile.mkdtemp()
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        # It says that no settings were found, which are given below.
        warnings.simplefilter("ignore")
        import uvicorn
        from optimade.server import data
        from optimade.server.config import ServerConfig
        from optimade.server.create_app import create_app

        # Its own way to insert them asks the network for the list of providers too.
        config = ServerConfig(
            insert_test_data=False,
            database_backend="mongomock",
            page_limit=5,
            aliases={"structures": ALIASES},
        )
        app = create_app(config)
        app.state.entry_collections["structures"].insert(data.structures)
    listening = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"http://127.0.0.1:{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none")).run(sockets=[listening])


if __name__ == "__main__":
    main()
