"""Starts Dask workers as jobs of a Slurm cluster, and runs a command that uses them, until it ends.

`python -m deployments.slurm.cluster --help`; docs/guides/slurm.md says how. What goes over the network is
encrypted, and who has not the certificate made for this one run can neither ask the workers for anything nor
answer in their name.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.parameters import MOST_WORKERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType

    from dask_jobqueue import SLURMCluster
    from distributed.security import Security

ROLES = ("client", "scheduler", "worker")
EARLY = "lihop: no worker yet; a batch waits until Slurm starts the first"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what is asked for.

    Parameters
    ----------
    arguments : sequence of str
        Arguments of the command line; what follows `--` is the command to run.
    """
    parser = argparse.ArgumentParser(
        prog="python -m deployments.slurm.cluster",
        description="Start Dask workers as Slurm jobs and run a command that uses them.",
        usage="%(prog)s --jobs N --cores N --memory SIZE --walltime TIME [options] -- lihop screen ...",
    )
    parser.add_argument("--jobs", type=int, required=True, help="Jobs to ask Slurm for.")
    parser.add_argument("--cores", type=int, required=True, help="Cores of a job: a worker process each.")
    parser.add_argument("--memory", required=True, help="Memory of a job, such as 16GiB.")
    parser.add_argument("--walltime", required=True, help="Longest time of a job, such as 02:00:00.")
    parser.add_argument("--queue", help="Partition; Slurm's default otherwise.")
    parser.add_argument("--account", help="Account that the jobs are charged to.")
    parser.add_argument("--interface", help="Network that the nodes share, such as ib0 or eth0.")
    parser.add_argument(
        "--directive", action="append", default=[], help="One more #SBATCH line; may be repeated."
    )
    parser.add_argument("--show", action="store_true", help="Print the script of a job and do nothing else.")
    parser.add_argument("command", nargs="*", help="The command, after --.")
    asked = parser.parse_args(arguments)
    if asked.jobs < 1 or asked.cores < 1:
        parser.error(f"--jobs {asked.jobs} --cores {asked.cores}: at least 1 of each is needed")
    if bool(asked.command) == asked.show:
        parser.error("give a command after --, such as -- lihop screen --source reference; or --show alone")
    return asked


def make_cluster(asked: argparse.Namespace, certificates: Path) -> SLURMCluster:
    """Return a cluster whose scheduler runs here, and whose workers are not asked for yet.

    Parameters
    ----------
    asked : argparse.Namespace
        What `parse` returned.
    certificates : Path
        Folder on a file system that all nodes share.
    """
    from dask_jobqueue import SLURMCluster

    options: dict[str, Any] = {
        "queue": asked.queue,
        "account": asked.account,
        "interface": asked.interface,
        "job_extra_directives": asked.directive,
    }
    return SLURMCluster(
        job_name="lihop",
        cores=asked.cores,
        # One thread each: what they compute holds Python's lock.
        processes=asked.cores,
        memory=asked.memory,
        walltime=asked.walltime,
        python=sys.executable,
        job_script_prologue=["export OMP_NUM_THREADS=1"],
        protocol="tls://",
        security=_security(certificates),
        scheduler_options={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
        worker_extra_args=["--no-dashboard"],
        **{name: value for name, value in options.items() if value},
    )


def _security(folder: Path) -> Security:
    """Write a certificate of this run's own, and return what says where it is."""
    from distributed.security import Security

    made = Security.temporary()
    parts = {"tls_ca_file": made.tls_ca_file}
    for role in ROLES:
        parts |= {f"tls_{role}_{part}": getattr(made, f"tls_{role}_{part}") for part in ("cert", "key")}
    for name, text in parts.items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(text, encoding="utf-8")
    return Security(require_encryption=True, **{name: str(folder / name) for name in parts})


def environment(address: str, certificates: Path, processes: int) -> dict[str, str]:
    """Return what tells lihop where the scheduler is and how much it can take, and Dask how to be let in.

    Parameters
    ----------
    address : str
        Address of the scheduler.
    certificates : Path
        Folder that `make_cluster` was given.
    processes : int
        Worker processes of all jobs: lihop gives them a batch each, but no more than `MOST_WORKERS`, or what
        ``LIHOP_WORKERS`` says already.
    """
    tls = "DASK_DISTRIBUTED__COMM__TLS__"
    return {
        "LIHOP_RUNNER": "dask",
        "LIHOP_SCHEDULER": address,
        "LIHOP_WORKERS": os.environ.get("LIHOP_WORKERS", str(min(processes, MOST_WORKERS))),
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true",
        f"{tls}CA_FILE": str(certificates / "tls_ca_file"),
        f"{tls}CLIENT__CERT": str(certificates / "tls_client_cert"),
        f"{tls}CLIENT__KEY": str(certificates / "tls_client_key"),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Start the workers, run the command, end the workers; return the exit code of the command.

    Parameters
    ----------
    arguments : sequence of str or None
        Arguments; those of the process otherwise.
    """
    asked = parse(sys.argv[1:] if arguments is None else arguments)
    if not asked.show and shutil.which("sbatch") is None:
        print(
            "sbatch is not on the path: run this where jobs are submitted, or --show the script",
            file=sys.stderr,
        )
        return 2
    # Slurm tells a job by this signal that its time is over: workers have to be given back.
    signal.signal(signal.SIGTERM, _leave)
    # The current folder is shared by the nodes, as the results have to be.
    with tempfile.TemporaryDirectory(prefix=".lihop-dask-", dir=Path.cwd()) as folder:
        certificates = Path(folder)
        with make_cluster(asked, certificates) as cluster:
            if asked.show:
                print(cluster.job_script(), end="")
                return 0
            cluster.scale(jobs=asked.jobs)
            print(EARLY, file=sys.stderr, flush=True)
            settings = environment(cluster.scheduler_address, certificates, asked.jobs * asked.cores)
            return _run(asked.command, os.environ | settings)


def _run(command: Sequence[str], settings: Mapping[str, str]) -> int:
    """Run a command; when this process is told to end, the command is interrupted, and ends by itself."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    process = subprocess.Popen(command, env=dict(settings))  # noqa: S603 - what the user asked for
    signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGINT))
    # From the keyboard it reaches the command too.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, _frame: FrameType | None) -> None:
    """End as at an interrupt, so that what was opened is closed."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
