"""A Dask scheduler and workers that are processes of their own, as on other machines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from helpers import SUPPORT


@dataclass
class Cluster:
    address: str
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]]


@contextmanager
def dask_cluster(folder: Path, workers: int, other_machines: int = 0) -> Iterator[Cluster]:
    """Have a scheduler and so many workers, each with one thread; some say that they are on another machine."""
    found = folder / "scheduler.json"
    started: list[subprocess.Popen[bytes]] = []

    def start(kind: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(SUPPORT)}
        log = (folder / f"{len(started)}.log").open("wb")
        started.append(subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log))
        log.close()
        return started[-1]

    try:
        scheduler = start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(found)
        )
        at_once = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--local-directory", str(folder)]
        other = ["--preload", "other_machine"]
        running = [
            start("worker", "--scheduler-file", str(found), *at_once, *(other if number < other_machines else []))
            for number in range(workers)
        ]
        yield Cluster(_address(found), scheduler, running)
    finally:
        for process in started:
            process.kill()
            process.wait()


def _address(found: Path) -> str:
    for _ in range(600):
        if found.exists() and (text := found.read_text()):
            return str(json.loads(text)["address"])
        time.sleep(0.1)
    raise AssertionError("the scheduler does not start")
