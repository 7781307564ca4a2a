"""Having the executor that a config chooses, as long as a run needs it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from importlib.util import find_spec

from mlir_datagen.config.executor import ExecutorSettings
from mlir_datagen.errors import UserError, nearest, said
from mlir_datagen.executors.workers import Workers


def opened(settings: ExecutorSettings, is_short: bool = False) -> AbstractContextManager[Executor | None]:
    """Have the executor of a config; None where the process of the run makes the programs.

    Args:
        settings: what the config says.
        is_short: whether the run is over before worker processes have started. One that was chosen is used anyway.

    Raises:
        UserError: on entering, when it cannot be had.
    """
    if settings.kind == "class":
        return _named(settings)
    if settings.kind in ("dask", "dask_slurm"):
        return _dask(settings)
    processes = 0 if is_short else settings.processes
    return Workers(processes) if processes else nullcontext()


@contextmanager
def _named(settings: ExecutorSettings) -> Iterator[Executor]:
    assert settings.class_path is not None
    module, _, name = settings.class_path.rpartition(".")
    try:
        home = import_module(module)
    except ImportError as error:
        raise UserError(
            f"executor.class_path is {settings.class_path}, which cannot be imported: {said(error)}. Install its "
            "package, or correct the name; executor=threads names one that is always there."
        ) from error
    known = [one for one in dir(home) if one.endswith("Executor")]
    made_by = getattr(home, name, None)
    if not isinstance(made_by, type) or not issubclass(made_by, Executor):
        raise UserError(
            f"executor.class_path is {settings.class_path}, which is no class of executors "
            f"(concurrent.futures.Executor).{nearest(name, known)} Type for instance executor.kind=class "
            "executor.class_path=concurrent.futures.ThreadPoolExecutor."
        )
    try:
        executor = made_by(**settings.arguments)
    except Exception as error:
        raise UserError(
            f"{settings.class_path} does not take executor.arguments, {dict(settings.arguments)}: {said(error)}. They "
            "are the keyword arguments of that class: 'executor.arguments={max_workers: 2}'."
        ) from error
    with executor:
        yield executor


@contextmanager
def _dask(settings: ExecutorSettings) -> Iterator[Executor]:
    needed, extra = ("dask_jobqueue", "slurm") if settings.kind == "dask_slurm" else ("distributed", "dask")
    if find_spec(needed) is None:
        raise UserError(
            f"executor={settings.kind} needs {needed.replace('_', '-')}, which is not installed: pip install "
            f"'mlir_datagen[{extra}]'. executor=process needs nothing else."
        )
    # Only here, since it is an extra, and takes its time.
    from mlir_datagen.executors.clusters import dask_executor

    with dask_executor(settings) as executor:
        yield executor
