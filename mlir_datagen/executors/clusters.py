"""Dask clusters: of this machine, of a scheduler that is there, of SLURM's jobs."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import dask
from distributed import Client, LocalCluster, Status

from mlir_datagen.config.executor import ExecutorSettings, SlurmSettings
from mlir_datagen.dataset.scratch import scratch_folder
from mlir_datagen.errors import UserError, said
from mlir_datagen.executors.local_dask import LocalWorkers, Place
from mlir_datagen.executors.on_dask import DaskExecutor

_SECONDS_TO_CONNECT = 5
_SECONDS_TO_START = 60
_ALLOWED_FAILURES = 1
"""How many workers a task may lose before it is done in the sandbox: the first may have had its end from elsewhere."""


@contextmanager
def dask_executor(settings: ExecutorSettings) -> Iterator[DaskExecutor]:
    """Have the workers of a Dask cluster that the config chooses.

    Raises:
        UserError: when there is no scheduler, or no worker of it.
    """
    if settings.address is not None:
        opened = _scheduler_at(settings.address)
    elif settings.slurm is not None:
        opened = _slurm_jobs(settings.slurm, dict(settings.arguments))
    else:
        opened = _local(settings.processes)
    with opened as (client, name), DaskExecutor(client, name) as executor:
        yield executor


_Opened = AbstractContextManager[tuple[Client, str]]


@contextmanager
def _scheduler_at(address: str) -> Iterator[tuple[Client, str]]:
    try:
        client = Client(address, timeout=_SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, TimeoutError, ValueError, RuntimeError) as error:
        raise UserError(
            f"There is no Dask scheduler at executor.address, {address}: {said(error)}. Start one (dask scheduler "
            f"--port 8786) and workers (dask worker {address} --nthreads 1 --nworkers 8), or leave the address out "
            "for a cluster of this machine."
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=_SECONDS_TO_CONNECT)
        except TimeoutError as error:
            raise UserError(
                f"The Dask scheduler at {address} has no workers. Start some: dask worker {address} --nthreads 1 "
                "--nworkers 8"
            ) from error
        yield client, address


@contextmanager
def _local(workers: int) -> Iterator[tuple[Client, str]]:
    with (
        scratch_folder() as scratch,
        dask.config.set({"distributed.scheduler.allowed-failures": _ALLOWED_FAILURES}),
        # The scheduler is in this process; no worker is in it.
        LocalCluster(
            n_workers=0, processes=True, dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL
        ) as cluster,
        LocalWorkers(workers, Place(cluster.scheduler_address, str(scratch))),
        Client(cluster, set_as_default=False) as client,
    ):
        client.wait_for_workers(1, timeout=_SECONDS_TO_START)
        yield client, "the local cluster"


@contextmanager
def _slurm_jobs(settings: SlurmSettings, further: dict[str, Any]) -> Iterator[tuple[Client, str]]:
    if shutil.which("sbatch") is None:
        raise UserError(
            "executor=dask_slurm starts its workers with SLURM, and there is no command sbatch here. Run it where "
            "jobs are submitted, or type executor=dask executor.address=tcp://… for workers that were started by hand."
        )
    # Only here, since it is an extra of its own.
    from dask_jobqueue import SLURMCluster

    try:
        cluster = SLURMCluster(
            cores=settings.cores,
            processes=settings.cores,
            memory=settings.memory,
            walltime=settings.walltime,
            queue=settings.queue,
            account=settings.account,
            **{"scheduler_options": {"dashboard_address": ":0"}, **further},
        )
    except Exception as error:
        raise UserError(
            f"dask-jobqueue does not take executor.arguments, {further}: {said(error)}. They are further arguments of "
            "SLURMCluster, such as 'executor.arguments={interface: ib0}'."
        ) from error
    with cluster:
        cluster.scale(jobs=settings.jobs)
        try:
            cluster.sync(_submitted, cluster)
        except RuntimeError as error:
            raise UserError(
                f"SLURM does not take the jobs of executor=dask_slurm: {said(error)}. executor.queue, account, cores, "
                "memory and walltime say what is asked for; sinfo lists what there is."
            ) from error
        with Client(cluster, set_as_default=False) as client:
            yield client, "SLURM's jobs"


async def _submitted(cluster: Any) -> None:
    """Wait until the jobs are in the queue.

    Raises:
        RuntimeError: when one is not taken.
    """
    await cluster
    for job in cluster.workers.values():
        if job.job_id is None:
            try:
                # Once more, since Dask keeps to itself what went wrong.
                await job
            except RuntimeError:
                # It has no end to wait for.
                for one in cluster.workers.values():
                    one.status = Status.closed if one.job_id is None else one.status
                raise
