"""The part of the config that says what makes the programs: it changes no dataset."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlir_datagen.errors import UserError, listed, nearest, shown
from mlir_datagen.proving.settings import available_cores
from mlir_datagen.values import check_keys, choice, mapping, whole_number

KINDS = ("process", "serial", "dask", "dask_slurm", "class")
TRUSTED_EXECUTORS = ("concurrent", "dask", "distributed", "mlir_datagen")
"""Packages whose executors a config may name."""

_EXAMPLES = {
    "workers": "executor=process executor.workers=2",
    "address": "executor=dask executor.address=tcp://127.0.0.1:8786",
    "class_path": "executor.kind=class executor.class_path=concurrent.futures.ThreadPoolExecutor",
    "arguments": "executor=threads 'executor.arguments={max_workers: 2}'",
    "jobs": "executor=dask_slurm executor.jobs=4",
    "cores": "executor=dask_slurm executor.cores=16",
    "memory": "executor=dask_slurm executor.memory=32GiB",
    "walltime": "executor=dask_slurm executor.walltime=02:00:00",
    "queue": "executor=dask_slurm executor.queue=main",
    "account": "executor=dask_slurm executor.account=mine",
}
"""Every key besides the kind, and how it is typed."""
EXECUTOR_KEYS = tuple(_EXAMPLES)
_SLURM = ("jobs", "cores", "memory", "walltime", "queue", "account", "arguments")
_KEYS = {
    "process": ("workers",),
    "serial": (),
    "dask": ("workers", "address"),
    "dask_slurm": _SLURM,
    "class": ("class_path", "arguments"),
}
"""What each kind takes; other keys are null with it."""

_MOST_WORKERS = 1024
_MOST_JOBS = 10_000
_ADDRESS = re.compile(r"(tcp|tls|ucx|ws|wss)://(\[[0-9A-Fa-f:.]+\]|[\w.-]+):([0-9]{1,5})")
_CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_MEMORY = re.compile(r"[0-9]+(\.[0-9]+)? ?[kMGT]i?B")
_WALLTIME = re.compile(r"([0-9]+-)?[0-9]{1,3}:[0-9]{2}(:[0-9]{2})?")
_WORD = re.compile(r"[\w.,@+-]+")


@dataclass(frozen=True)
class SlurmSettings:
    """What SLURM is asked for: so many jobs, each with a Dask worker for each of its cores."""

    jobs: int
    cores: int
    memory: str
    walltime: str
    queue: str | None
    account: str | None


@dataclass(frozen=True)
class ExecutorSettings:
    """What makes the programs.

    Attributes:
        kind: one of `KINDS`: `process` for worker processes, `serial` for the process of the run, `dask` for a local
            cluster or the workers of a scheduler, `dask_slurm` for workers that SLURM starts, `class` for any executor.
        workers: how many worker processes, also of a local cluster; None for one for each processor core.
        address: of the Dask scheduler; None for a local cluster.
        class_path: the importable class of the executor.
        arguments: keyword arguments of that class, or further ones of dask-jobqueue's, as plain values.
        slurm: what SLURM is asked for.
    """

    kind: str = "process"
    workers: int | None = None
    address: str | None = None
    class_path: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    slurm: SlurmSettings | None = None

    @property
    def processes(self) -> int:
        """How many worker processes of this machine there are to be; 0 for none."""
        if self.kind not in ("process", "dask"):
            return 0
        if self.workers is not None:
            return self.workers
        cores = len(available_cores())
        return cores if cores > 1 or self.kind == "dask" else 0


def parse_executor(raw: Mapping[str, Any], trust: Sequence[str] = ()) -> ExecutorSettings:
    """Check the `executor` part.

    Args:
        raw: its values.
        trust: the packages that the run trusts besides `TRUSTED_EXECUTORS`.

    Raises:
        UserError: for a value that is not allowed, and a class of a package that is not trusted, which is not imported.
    """
    check_keys(raw, ("kind", *_EXAMPLES), "executor")
    kind = choice(raw.get("kind", "process"), "executor.kind", KINDS)
    for key, example in _EXAMPLES.items():
        if raw.get(key) not in (None, {}) and key not in _KEYS[kind]:
            raise _misplaced(kind, key, raw[key], example)
    given = {key: raw[key] for key in _KEYS[kind] if raw.get(key) is not None}
    arguments = mapping(given.get("arguments", {}), "executor.arguments", f"{_EXAMPLES['arguments']}")
    if kind == "class":
        return ExecutorSettings(kind, class_path=_class_path(given.get("class_path"), trust), arguments=arguments)
    if kind == "dask_slurm":
        return ExecutorSettings(kind, arguments=arguments, slurm=_slurm(given))
    workers = None
    if "workers" in given:
        example = "executor.workers=2, or executor=serial for none"
        workers = whole_number(given["workers"], "executor.workers", 1, example, _MOST_WORKERS)
    address = _address(given["address"]) if "address" in given else None
    if workers is not None and address is not None:
        raise UserError(
            f"executor.workers is {workers} and executor.address is {address}, whose workers are those that were "
            "started for it. Leave executor.workers out, or executor.address for a cluster of this machine."
        )
    return ExecutorSettings(kind, workers, address)


def _misplaced(kind: str, key: str, value: Any, example: str) -> UserError:
    what = " has no worker processes, so that" if kind == "serial" and key == "workers" else ""
    chosen = f"executor{'.kind' if kind == 'class' else ''}={kind}"
    own = listed(f"executor.{name}" for name in _KEYS[kind])
    return UserError(
        f"executor.{key} is {shown(value)}, and {chosen}{what} takes {own or 'no other setting'}. Type "
        f"{example}, or leave executor.{key} out."
    )


def _address(value: Any) -> str:
    if not isinstance(value, str) or not (found := _ADDRESS.fullmatch(value)) or not 0 < int(found[3]) < 1 << 16:
        raise UserError(
            f"executor.address is {shown(value)}, and must be what a Dask scheduler prints when it starts: tcp:// (or "
            f"tls://, ucx://, ws://, wss://), a host, and a port. Type for instance {_EXAMPLES['address']}, or "
            "executor=dask without an address for a cluster of this machine."
        )
    return value


def _class_path(value: Any, trust: Sequence[str]) -> str:
    if not isinstance(value, str) or not _CLASS.fullmatch(value):
        raise UserError(
            f"executor.class_path is {shown(value)}, and must name a class with its module. Type for instance "
            f"{_EXAMPLES['class_path']}."
        )
    package, _, _ = value.partition(".")
    if package not in (*TRUSTED_EXECUTORS, *trust):
        raise UserError(
            f"executor.class_path names {shown(value)}, and classes outside {listed(TRUSTED_EXECUTORS)} are not "
            f"imported unless this run trusts their package, since importing runs its code."
            f"{nearest(package, TRUSTED_EXECUTORS)} If you do, type 'trust=[{package}]'."
        )
    return value


def _slurm(given: Mapping[str, Any]) -> SlurmSettings:
    missing = [key for key in ("jobs", "cores", "memory", "walltime") if key not in given]
    if missing:
        raise UserError(
            f"executor=dask_slurm needs {listed(f'executor.{key}' for key in missing)}. Type for instance "
            f"{_EXAMPLES[missing[0]]}; conf/executor/dask_slurm.yaml has them all."
        )
    return SlurmSettings(
        jobs=whole_number(given["jobs"], "executor.jobs", 1, "executor.jobs=4", _MOST_JOBS),
        cores=whole_number(given["cores"], "executor.cores", 1, "executor.cores=16", _MOST_WORKERS),
        memory=_text(given, "memory", _MEMORY, "an amount with its unit"),
        walltime=_text(given, "walltime", _WALLTIME, "a time in quotes, hours:minutes:seconds"),
        queue=_text(given, "queue", _WORD, "the name of a partition") if "queue" in given else None,
        account=_text(given, "account", _WORD, "the name of an account") if "account" in given else None,
    )


def _text(given: Mapping[str, Any], key: str, allowed: re.Pattern[str], what: str) -> str:
    value = given[key]
    if not isinstance(value, str) or not allowed.fullmatch(value):
        raise UserError(f"executor.{key} is {shown(value)}, and must be {what}. Type for instance {_EXAMPLES[key]}.")
    return value
