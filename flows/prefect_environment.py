"""Settings under which Prefect keeps its whole history and a quiet log; programs set them, imports never."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import filelock

# An ephemeral run loses most of its task-run history at exit unless the recorder flushes what it has in
# small, frequent batches. The rest keeps Prefect from calling home and from asking questions.
SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_CLI_PROMPT": "false",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    # The first start migrates a fresh database; on a busy machine that outlasts the default of 20 s.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
    # Ours are kept by nobody, but of a flow that failed the error: no pickle, which runs whatever is in it.
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
    # By its heartbeats a run is known to live, also one that a command started on a server. Deployments have
    # theirs from prefect.yaml.
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    # A server forgets whom it waits for a minute after their time is up. Of runs that died while it was away
    # for longer, with the whole machine say, it would never tell.
    "PREFECT_SERVER_EVENTS_EXPIRED_BUCKET_BUFFER": "P30D",
    # An ephemeral server has no password and no UI: no page that a browser has open is to read its answers.
    "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": "",
}


def prepare_prefect(*, verbose: bool = False) -> None:
    """Set what is not set yet. Must come before Prefect is imported.

    Parameters
    ----------
    verbose : bool
        Whether Prefect tells of every task run.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "INFO" if verbose else "WARNING")
    # A run's own log is for the Prefect UI, also when the terminal is quiet.
    os.environ.setdefault("PREFECT_LOGGING_LOGGERS_PREFECT_FLOW_RUNS_LEVEL", "INFO")
    if not verbose:
        # What fails is told by the command and kept in the table of failures; the run's own log, which the
        # Prefect UI shows, has it in full.
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_LOGGING_SERVER_LEVEL", "WARNING")


def wake_prefect() -> None:
    """Start the API that flows will talk to, where none is set up, one process at a time.

    A first start migrates Prefect's database, and several at once break each other's migrations.
    """
    home = prefect_home()
    home.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(home / "lihop-first-start.lock"):
        from prefect.client.orchestration import get_client

        # The ephemeral server that this starts serves the process until it ends. It inherits the mask: an
        # interrupt from the keyboard reaches all processes, and a flow whose server is gone cannot even end.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with get_client(sync_client=True) as client:
                client.hello()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def prefect_home() -> Path:
    """Return the folder in which Prefect keeps its database and settings."""
    return Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
