"""Converting a small network, and telling what is left of it: what other processes and threads are given to do."""

from __future__ import annotations

import logging
import os
import sys
import threading
from multiprocessing import resource_tracker
from pathlib import Path

import torch
from planted_networks import Small

from mlir_datagen import NeuralNetworkToMLIR


def convert(name: str) -> None:
    """Convert, run and compare a network, into the folder `nets/<name>`."""
    NeuralNetworkToMLIR(Path("nets") / name).convert_model(Small(), (1, 3, 64, 64), name, check="execute")


def use_a_pool() -> None:
    """Have PyTorch make its pool of threads, of which a process that is forked later has none."""
    torch.set_num_threads(2)
    torch.rand(1 << 20).exp()


def convert_on_threads() -> None:
    """Convert on three threads at a time."""
    threads = [threading.Thread(target=convert, args=(f"thread{index}",)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def left_over() -> list[str]:
    """Return what a conversion has left behind in this process: processes, threads, and what it switched off."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    found = [Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ") for child in children]
    if resource_tracker._resource_tracker._pid is not None:  # type: ignore[attr-defined]
        found.append("a tracker of semaphores")
    found += [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    if sys.stderr is not sys.__stderr__ or logging.root.manager.disable:
        found.append("a standard error that says nothing")
    return found
